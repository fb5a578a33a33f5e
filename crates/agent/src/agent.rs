//! A running plan: builds the components, starts and stops them in order.
