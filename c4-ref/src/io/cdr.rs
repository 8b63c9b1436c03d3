//! The file of call detail records and the spool of open calls beside it, behind one writer thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use super::backlog::{BACKLOG, Receiver, Sender, Sink, Waiting, backlog};
use crate::cdr::spool::{self, Spool};

/// How long a record may wait for others to be written with it.
const FLUSH: Duration = Duration::from_millis(50);

pub(super) enum Item {
    Record(String),
    Spool(spool::Entry),
    Reopen,
}

/// The open files.
pub struct CdrFile {
    path: PathBuf,
    spool_path: PathBuf,
    file: File,
    spool_file: File,
    spool: Spool,
    /// Records that are not written yet.
    records: Lines,
    /// Lines of the spool that are not written yet.
    spool_lines: Lines,
    /// The record file is to be opened by its name again.
    reopen: bool,
}

impl CdrFile {
    /// Opens `path` for appending and makes records of the calls that a dead process left open in its spool
    /// (`path` with `.spool`).
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<CdrFile> {
        let mut spool_path = path.as_os_str().to_owned();
        spool_path.push(".spool");
        let spool_path = PathBuf::from(spool_path);
        let mut file = append(path)?;
        match fs::read(&spool_path) {
            Ok(content) => file.write_all(spool::recover(&content).concat().as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let spool_file = File::create(&spool_path)?;
        Ok(CdrFile {
            path: path.into(),
            spool_path,
            file,
            spool_file,
            spool: Spool::default(),
            records: Lines::default(),
            spool_lines: Lines::default(),
            reopen: false,
        })
    }

    /// Starts the writer.
    ///
    /// # Errors
    /// When the system has no thread for us.
    pub fn into_writer(self) -> io::Result<(CdrWriter, CdrThread)> {
        self.into_bounded_writer(BACKLOG)
    }

    fn into_bounded_writer(self, most: usize) -> io::Result<(CdrWriter, CdrThread)> {
        let (items, queue): (_, Receiver<Item>) = backlog("call detail records", most);
        let thread = std::thread::Builder::new().name("cdr".into()).spawn(move || queue.run(FLUSH, self))?;
        Ok((CdrWriter { items }, CdrThread { thread }))
    }

    /// Opens the record file by its name again.
    fn open_again(&mut self) -> io::Result<()> {
        let (old, new) = (self.file.metadata()?, append(&self.path)?);
        let meta = new.metadata()?;
        if (old.dev(), old.ino()) != (meta.dev(), meta.ino()) {
            self.records.start_over();
        }
        self.file = new;
        Ok(())
    }

    /// Records first, then the spool: a crash in between gives a record twice, never none.
    fn flush(&mut self) -> io::Result<()> {
        self.records.write_to(&mut self.file)?;
        // What the spool keeps of a call that has ended meanwhile is nothing; lines stay.
        if self.spool_lines.len() == 0 && !self.spool.is_empty() {
            self.spool_lines.octets = self.spool.take();
        }
        self.spool_lines.write_to(&mut self.spool_file)?;
        if self.spool.wants_compaction() {
            let compact = spool::compact(&fs::read(&self.spool_path)?);
            let aside = self.spool_path.with_extension("new");
            fs::write(&aside, &compact)?;
            fs::rename(&aside, &self.spool_path)?;
            self.spool_file = append(&self.spool_path)?;
            self.spool.compacted(compact.len());
        }
        Ok(())
    }
}

impl Sink for CdrFile {
    type Item = Item;

    fn take(&mut self, item: Item) {
        match item {
            Item::Record(line) => self.records.octets.extend_from_slice(line.as_bytes()),
            Item::Spool(entry) => self.spool.push(entry),
            Item::Reopen => self.reopen = true,
        }
    }

    fn write(&mut self) -> Result<(), impl std::fmt::Display> {
        let written = self.flush();
        if !std::mem::take(&mut self.reopen) {
            return written;
        }
        if let Err(error) = self.open_again() {
            tracing::error!(%error, "the record file was not opened again");
        }
        // The new one may have room where the old one had none.
        written.or_else(|_| self.flush())
    }

    fn held(&self) -> usize {
        self.records.len() + self.spool_lines.len() + self.spool.octets()
    }
}

/// Whole lines that wait to be written.
#[derive(Debug, Default)]
struct Lines {
    octets: Vec<u8>,
    /// Octets of the first line that a full disk took before it was full.
    torn: usize,
}

impl Lines {
    fn len(&self) -> usize {
        self.octets.len()
    }

    /// Writes all and takes off the lines that were written: what a full disk did not take goes on there when it has
    /// room again.
    fn write_to(&mut self, file: &mut impl Write) -> io::Result<()> {
        let mut written = self.torn;
        let result = loop {
            let Some(rest) = self.octets.get(written..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
            match file.write(rest) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        let whole = match &result {
            Ok(()) => self.octets.len(),
            Err(_) => {
                let done = self.octets.get(..written).unwrap_or_default();
                done.iter().rposition(|&octet| octet == b'\n').map_or(0, |end| end + 1)
            }
        };
        self.torn = written.saturating_sub(whole);
        self.octets.drain(..whole.min(self.octets.len()));
        if self.octets.is_empty() && self.octets.capacity() > 64 << 10 {
            self.octets = Vec::new();
        }
        result
    }

    /// The next file gets the whole of a line that the last one has the beginning of.
    fn start_over(&mut self) {
        self.torn = 0;
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Hands records to the writer. The last one dropped lets it flush and end.
#[derive(Clone)]
pub struct CdrWriter {
    items: Sender<Item>,
}

impl CdrWriter {
    /// Appends a line, given with its line feed. While the disk fails, lines beyond the bound are dropped and counted.
    pub fn record(&self, line: String) {
        let octets = line.len();
        self.items.offer(Item::Record(line), octets);
    }

    /// Notes the beginning, answer or end of a call.
    pub fn spool(&self, entry: spool::Entry) {
        let octets = if let spool::Entry::Start(_, json) = &entry { json.len() } else { 0 };
        self.items.offer(Item::Spool(entry), octets);
    }

    /// Opens the record file by its name again, for a log rotation that moved it away.
    pub fn reopen(&self) {
        self.items.urge(Item::Reopen);
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.items.waiting()
    }
}

/// The writer's thread.
pub struct CdrThread {
    thread: JoinHandle<()>,
}

impl CdrThread {
    /// Waits until every record is written; the writers must have been dropped.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the writer of call detail records panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cdr::Id;

    #[test]
    fn records_are_appended_and_open_calls_recovered() {
        let dir = super::super::tests::scratch("cdr");
        let path = dir.join("cdr.jsonl");
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        writer.spool(spool::Entry::Start(Id(1), "{\"call_id\":\"one\"}\n".into()));
        writer.spool(spool::Entry::Start(Id(2), "{\"call_id\":\"two\"}\n".into()));
        writer.record("{\"call_id\":\"one\",\"status\":200}\n".into());
        writer.spool(spool::Entry::End(Id(1)));
        drop(writer);
        thread.join();
        // As if the process had died with call two open.
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        drop(writer);
        thread.join();
        let content = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = content.lines().collect();
        assert_eq!(lines.len(), 2, "{content}");
        assert!(lines[1].contains("\"two\"") && lines[1].contains("recovered"), "{content}");
        drop(CdrFile::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), content, "recovered once");
    }

    /// A disk with room for so many octets.
    struct Disk(Vec<u8>, usize);

    impl Write for Disk {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let most = self.1.min(octets.len());
            self.0.extend_from_slice(&octets[..most]);
            self.1 -= most;
            if most == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(most) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_tears_and_doubles_no_record() {
        let mut disk = Disk(Vec::new(), 5);
        let mut lines = Lines { octets: b"one\ntwo\n".to_vec(), torn: 0 };
        assert!(lines.write_to(&mut disk).is_err());
        lines.octets.extend_from_slice(b"three\n");
        assert!(lines.write_to(&mut disk).is_err());
        disk.1 = 100;
        lines.write_to(&mut disk).unwrap();
        assert_eq!((disk.0, lines.octets), (b"one\ntwo\nthree\n".to_vec(), Vec::new()));
    }

    #[test]
    fn a_new_file_begins_with_a_whole_line() {
        let mut disk = Disk(Vec::new(), 5);
        let mut lines = Lines { octets: b"one\ntwo\n".to_vec(), torn: 0 };
        assert!(lines.write_to(&mut disk).is_err());
        lines.start_over();
        let mut other = Disk(Vec::new(), 100);
        lines.write_to(&mut other).unwrap();
        assert_eq!((disk.0, other.0), (b"one\nt".to_vec(), b"two\n".to_vec()));
    }

    #[test]
    fn a_full_disk_costs_no_more_memory_than_the_bound_and_the_newest_records_only() {
        const MOST: usize = 10_000;
        let dir = super::super::tests::scratch("cdr-full");
        let path = dir.join("cdr.jsonl");
        // Every write to it fails: no space is left.
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let (writer, thread) = CdrFile::open(&path).unwrap().into_bounded_writer(MOST).unwrap();
        let line = |n: usize| format!("{n:099}\n");
        writer.record(line(0));
        // From the first failed attempt on nobody waits.
        assert!(super::super::tests::eventually(|| writer.items.is_failing()));
        for n in 1..1000 {
            writer.record(line(n));
            writer.spool(spool::Entry::Start(Id(n as u64), line(n)));
            assert!(writer.waiting().octets <= MOST);
        }
        let dropped = writer.waiting().dropped;
        assert!(dropped > 1800, "{dropped}");
        // The disk has room again.
        fs::remove_file(&path).unwrap();
        writer.reopen();
        assert!(super::super::tests::eventually(|| writer.waiting().octets == 0));
        writer.record("last\n".into());
        assert_eq!(writer.waiting().dropped, dropped, "it recovers");
        drop(writer);
        thread.join();
        let content = fs::read_to_string(&path).unwrap();
        let kept = content.lines().count() - 1;
        assert!(kept >= 20, "{kept}");
        assert_eq!(content, (0..kept).map(line).collect::<String>() + "last\n", "the oldest, whole and in order");
    }

    #[test]
    fn a_rotated_file_is_opened_again() {
        let dir = super::super::tests::scratch("cdr-rotate");
        let path = dir.join("cdr.jsonl");
        let (writer, thread) = CdrFile::open(&path).unwrap().into_writer().unwrap();
        writer.record("1\n".into());
        assert!(super::super::tests::eventually(|| fs::read(&path).unwrap() == b"1\n"));
        fs::rename(&path, dir.join("old")).unwrap();
        writer.reopen();
        assert!(super::super::tests::eventually(|| path.exists()));
        writer.record("2\n".into());
        drop(writer);
        thread.join();
        assert_eq!(fs::read(&path).unwrap(), b"2\n");
        assert_eq!(fs::read(dir.join("old")).unwrap(), b"1\n");
    }
}
