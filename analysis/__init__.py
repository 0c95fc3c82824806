"""What looks at functions and changes nothing: proofs, costs, live ranges, simulated time."""
