//! Redis as the second tier of a cache: shared pipelined connections, deadlines, a self-describing stored format.
