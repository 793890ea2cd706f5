//! What a shop of whole nodes does, on a network and on disks in memory, by a clock that the test holds.

#![cfg(test)]

mod quiet_lan;
