//! the store's hub: relays, owns devices, enrols terminals, talks to HQ, is administered.
