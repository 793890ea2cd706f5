//! headquarters: merges many stores into one database; publishes prices; takes online orders.
