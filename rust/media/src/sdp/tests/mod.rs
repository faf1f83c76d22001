mod golden;
mod properties;
mod stories;
