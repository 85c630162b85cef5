//! What the processes of a server take, from `/proc`.

/// The processes of a server: some, and all below them.
pub(crate) struct Processes(Vec<String>);

impl Processes {
    /// Those of these numbers, with commas between them.
    pub(crate) fn of(numbers: &str) -> Self {
        Self(numbers.split(',').map(str::to_owned).collect())
    }

    fn all(&self) -> Vec<String> {
        let mut parents = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
            parents.push((id, rest.split(' ').nth(1).unwrap_or_default().to_owned()));
        }
        let mut found = self.0.clone();
        let mut at = 0;
        while at < found.len() {
            let children: Vec<String> = parents.iter().filter(|(_, up)| *up == found[at]).map(|(id, _)| id.clone()).collect();
            found.extend(children);
            at += 1;
        }
        found
    }

    /// Seconds of processor time, with those of processes that have ended; in ticks of 10 ms.
    pub(crate) fn processor(&self) -> f64 {
        let of = |id: &String| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let rest = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
            rest.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
        };
        self.all().iter().map(of).sum()
    }

    /// What they hold in MB; pages that several share count once for all of them together.
    pub(crate) fn memory(&self) -> f64 {
        let of = |id: &String| {
            let text = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default().to_owned();
            line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1000.0
        };
        self.all().iter().map(of).sum()
    }
}
