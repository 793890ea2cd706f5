//! one terminal: sells with or without anybody else; the local API and the till screen.
