//! Tables out: CSV, plots, HTML, terminal.
