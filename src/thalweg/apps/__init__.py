"""What people open: the report and the demo. Widgets around measures and figures, no maths of their own."""
