//! How a specification flows through the six stages.
