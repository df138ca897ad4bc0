"""What people open: the report, the explorer, the demo. Widgets around measures and figures, no maths of their own."""
