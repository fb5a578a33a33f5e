//! Which process listens on a port, from `/proc`: for the message when a port is in use.

use std::fmt;
use std::fs;

/// A process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    name: String,
    process: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.process)
    }
}

/// Who listens on this TCP port. None when it cannot be told: another user's process, or another container's on a shared
/// network.
pub(super) fn of_port(port: u16) -> Option<Owner> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let process = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|process: &u32| {
        let files = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| {
            let file = file.to_string_lossy();
            sockets.iter().any(|socket| *socket == file)
        })
    })?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?.trim().to_owned();
    Some(Owner { name, process })
}

/// The inodes of the sockets that listen on a port. A line has number, local address, remote address, state (0A: listens),
/// queues, timer, retransmits, user, timeout, inode.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let suffix = format!(":{port:04X}");
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        match fields[..] {
            [_, local, _, "0A", _, _, _, _, _, inode, ..] if local.ends_with(&suffix) => inode.parse().ok(),
            _ => None,
        }
    };
    table.lines().filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_listener_among_the_sockets_of_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:10DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 0100007F:10DD 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1\n";
        assert_eq!(listening(table, 4317), [4711]);
        assert_eq!(listening(table, 4318), [] as [u64; 0]);
    }

    #[test]
    fn this_process_owns_what_it_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = of_port(listener.local_addr().unwrap().port()).expect("it is ours");
        assert_eq!(owner.process, std::process::id());
    }
}
