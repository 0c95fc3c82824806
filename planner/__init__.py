"""The mathematics of schedules: pure solvers on integers, usable alone. They import nothing outside this folder.

Sizes and addresses are in bytes, time is in steps of a tile program or in cycles, tiles and tensors are numbers. Ranges
are half-open, [start, end). Every solver is deterministic: seeds are fixed, and effort is bounded by work, not by time.

What solves what, in an order to read it in:

The SRAM
    `units`            rounding to the alignment
    `free_list`        free blocks, first fit with coalescing
    `arena`            `VirtualSRAMArena`: allocate, free, peak, high water; `OutOfMemoryError`

From a tile program to addresses
    `liveness`         `Program` (loads, execs, stores of tiles), next uses, how long a tile has to stay on chip
    `eviction`         which tile goes when the SRAM is full: LRU, Belady's MIN, MIN with costs
    `residency`        `FirstFitPlanner`: one pass over the program; `Plan`, its events and traffic
    `even_tiles`       what that plan moves, without it, where all tiles are of one size
    `placement`        addresses for known live ranges (dynamic storage allocation)
    `lifetimes`        the second attempt: accumulators at addresses chosen over their whole live ranges
    `memory_planner`   `plan`: both attempts, and how much SRAM it takes where they fail. Begin here to use it

From tensors to an order of tiles
    `linearize`        the order of whole operations: few bytes live
    `live_bytes`       how many are, and the best order of a few operations, exactly
    `nests`            `Nest` and `walk`: the loop nests that an order is described by
    `nest_cost`        what a choice of nests costs in bytes, by planning it
    `nest_search`      the search for the nests that cost least
    `dependences`      legal orders of a program that has no nests
    `local_search`     the search among them: list scheduling, then hill climbing

From an order to time
    `simulator`        in-order engines and their hazards: makespan, stalls
    `list_schedule`    transfers as early as there is room
    `makespan`         plans with room left free for that; what a choice of nests costs in cycles
    `pingpong_phases`  the phases of a buffer in two halves

    `bounds`           lower bounds on the bytes moved, whatever the schedule
    `progress`         tells a listener what a long search is at
"""
