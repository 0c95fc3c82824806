"""Between the IR and the planner's integers: tile programs, loop nests, tiling, rewriting, finished schedules."""
