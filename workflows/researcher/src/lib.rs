//! The research binary `traider-research`: SQL over the lake. The only binary that links polars, started as a child
//! by others so that they stay light.
