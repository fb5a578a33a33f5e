//! Exporters: where telemetry goes. A closed enum; a component is one file and three lines here.
