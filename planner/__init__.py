"""The mathematics of schedules: pure solvers on integers, which import nothing of ours but each other."""
