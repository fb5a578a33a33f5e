//! Receivers: what takes telemetry in. A closed enum; a component is one file and three lines here.
