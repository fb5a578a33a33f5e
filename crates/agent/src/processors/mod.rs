//! Processors: what happens to a batch on its way. A closed enum; a component is one file and three lines here.
