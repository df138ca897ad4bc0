"""
A loss surface of a small network
=================================

x
"""

# %%
import thalweg as tw

problem = tw.FunctionProblem(lambda x, y: (1 - x * y) ** 2)
surface = tw.loss_surface(problem, tw.coordinate_plane(problem), extent=2.0, points=31)
# The loss
tw.figures.contour(surface, backend="matplotlib")

# %%
# interactive
tw.figures.surface(surface)
