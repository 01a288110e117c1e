import VarveCodec
import VarveFiles
import VarveFormat
import VarveRepository
import VarveStorage
import VarveUpkeep

extension Healer {
    /// Packs, then the index, then manifests, as in a backup.
    ///
    /// What was bad is set aside when something good has taken its place, or when it was proved in this run that it is
    /// bad and nothing more can be had of it. So a run that errors cut short leaves things no worse, and the next one
    /// is as good as the first would have been.
    package func run(_ plan: HealPlan) throws(VarveError) -> HealReport {
        let target = try copies.find(plan.copy)
        let repository = try target.writable()
        var report = HealReport(copy: plan.copy, label: plan.label, path: plan.path)
        guard !plan.isEmpty else {
            try endTaint(repository)
            return report
        }
        let lock = try WriterLock(repository)
        defer { withExtendedLifetime(lock) {} }
        try repository.storage.removeTemporaryFiles()
        let documents = try repository.healIdentity().map { Finding.Place.document($0) }
        let directories = try repository.storage.makeMissingDirectories().map { Finding.Place.directory($0) }
        report.healed += (documents + directories).map { .init(place: $0, source: .rebuilt) }
        let damaged = Self.objects(plan.damaged.map(\.place))
        let bad = Set(damaged)
        let missing = Self.objects(plan.missing)
        let packs = Set(damaged + missing).filter { $0.kind == .pack }.sorted { $0.name < $1.name }
        let parity = ParityHealer(repository, cancellation: cancellation)
        let lostPacks = try heal(try replace(packs, bad, in: target, &report), by: parity, &report)
        try heal(packs: lostPacks, in: target, &report)
        try setAside(bad, of: repository, &report)
        let index = try repository.openIndex(isWriter: true)
        try index.confirmUnlisted()
        try index.flush()
        let manifests = Set(damaged + missing).filter { $0.kind == .event || $0.kind == .manifest }.sorted {
            ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name)
        }
        let lostManifests = try heal(try replace(manifests, bad, in: target, &report), by: parity, &report)
        for manifest in lostManifests {
            report.lost.append(Finding(.object(manifest), "no copy that is there has it whole"))
        }
        if let newest = try repository.manifests.list().last {
            Notices.attempt(.remark, "\(ObjectName(.manifest, newest.name))", "it can't be read") {
                repository.manifests.summarize(newest, try repository.manifests.read(newest))
            }
        }
        try healParity(parity, of: repository, &report)
        try conclude(plan, repository.reopened(), &report)
        return report
    }

    /// What can be copied: names that a manifest has made up are nobody's.
    private static func objects(_ places: [Finding.Place]) -> [ObjectName] {
        places.compactMap(\.object).filter { $0.contentHash != nil }
    }

    /// Caches are made anew; records of this copy have no other source.
    private func setAside(_ bad: Set<ObjectName>, of repository: Repository, _ report: inout HealReport)
        throws(VarveError)
    {
        for object in bad.sorted(by: { $0.name < $1.name }) where object.kind != .parity {
            if object.kind.isCache {
                try repository.storage.setAside(object)
                report.healed.append(.init(place: .object(object), source: .rebuilt))
            } else if object.kind.isRecord {
                try repository.storage.setAside(object)
                report.findings.append(
                    Finding(.object(object), "a record of this copy that is damaged: it was set aside"))
            }
        }
    }

    /// What is true now: what was written where the medium has been bad is read again, what should be there is looked
    /// for, and if anything was missed, every snapshot is decoded.
    private func conclude(_ plan: HealPlan, _ repository: Repository, _ report: inout HealReport)
        throws(VarveError)
    {
        var options = MediaOptions()
        // What was missing counts as never read.
        options.onlyBad = true
        let media = try Verifier(repository, cancellation: cancellation).verifyMedia(options)
        add(media.findings + plan.unreadable, to: &report)
        guard !report.lost.isEmpty || !plan.losses.isEmpty else { return try endTaint(repository) }
        let content = try Verifier(repository, cancellation: cancellation).verifyContent()
        add(content.findings, to: &report)
        report.losses = content.losses
        report.unneeded = content.unneeded
        let unneeded = Set(content.unneeded)
        report.lost.removeAll { $0.object.map(unneeded.contains) ?? false }
    }

    /// What is not known yet, once for each object.
    private func add(_ findings: [Finding], to report: inout HealReport) {
        var known = Set((report.lost + report.unreadable).map(\.place))
        for finding in findings where known.insert(finding.place).inserted {
            if finding.kind == .unreadable {
                report.unreadable.append(finding)
            } else {
                report.lost.append(finding)
            }
        }
    }

    /// A snapshot whose backup met damage in the repository is as good as any other once it was found whole.
    private func endTaint(_ repository: Repository) throws(VarveError) {
        let unknown = "whether a snapshot is tainted can't be told"
        let read = Notices.attempt(.remark, repository.path, unknown) {
            (ledger: try repository.ledger(), summaries: try repository.manifests.summaries())
        }
        guard let (ledger, summaries) = read else { return }
        let isAny = summaries.contains { summary in
            guard summary.isTainted, !ledger.isProven(summary.reference) else { return false }
            return Notices.attempt(.remark, "\(ObjectName(.manifest, summary.reference.name))", unknown) {
                try repository.manifests.read(summary.reference).isTaintedByRepository
            } ?? false
        }
        if isAny { _ = try Verifier(repository, cancellation: cancellation).verifyContent() }
    }

    /// Damaged parity is made anew from what it covers, and what came to be uncovered is covered again.
    private func healParity(
        _ parity: ParityHealer, of repository: Repository, _ report: inout HealReport
    ) throws(VarveError) {
        var unreadable: [ObjectName] = []
        for outcome in try parity.healParity() {
            switch outcome.result {
            case .whole: break
            case .healed, .setAside:
                report.healed.append(.init(place: .object(outcome.object), source: .rebuilt))
            case .unreadable: unreadable.append(outcome.object)
            case .left:
                report.findings.append(
                    Finding(
                        .object(outcome.object),
                        "parity that is damaged, and so is what it covers: "
                            + outcome.damagedMembers.map(\.description).joined(separator: " ")))
            }
        }
        do {
            _ = try repository.parity()
        } catch let error where error.code == .corrupt {
            // Only a person knows the percentage. `conclude` names the document with what else is found.
            return
        }
        switch repository.updateParity(cancellation: cancellation) {
        case .failure(let error)?: throw error
        case .success(let covered)?:
            if covered.groupsWritten > 0 { report.covered = covered.objects }
            // All is covered by others that can be read: nothing more is to be had of it.
            guard covered.skipped.isEmpty, report.lost.isEmpty else { break }
            for object in unreadable {
                try repository.storage.setAside(object)
                report.healed.append(.init(place: .object(object), source: .rebuilt))
            }
        case nil: break
        }
    }

    /// From another copy.
    ///
    /// - Returns: those that no copy has whole. Of what could not be read elsewhere nothing is known.
    private func replace(
        _ objects: [ObjectName], _ bad: Set<ObjectName>, in target: RepositoryCopy,
        _ report: inout HealReport
    ) throws(VarveError) -> [ObjectName] {
        let repository = try target.there()
        let sources = copies.online.compactMap(\.repository).filter { $0 !== repository }
        let labels = Dictionary(
            copies.online.compactMap { copy in
                copy.repository.map { (ObjectIdentifier($0), copy.record.label) }
            },
            uniquingKeysWith: { first, _ in first })
        let state = Monitor((report: report, lost: [ObjectName]()))
        let copying = try CopyObjects(to: target, from: sources, replacing: bad, cancellation: cancellation) {
            object, source, error in
            state.change { $0.report.note(object, in: source, error) }
        }
        try copying.copy(objects) { object, outcome in
            state.change { state in
                switch outcome {
                case .copied(_, let source):
                    let label = labels[ObjectIdentifier(source)] ?? source.path
                    state.report.healed.append(
                        .init(place: .object(object), source: .copy(label: label)))
                case .wasThere: break
                case .noSourceIsGood: state.lost.append(object)
                }
            }
        }
        report = state.change { $0.report }
        report.healed.sort { $0.place < $1.place }
        return state.change { $0.lost }.sorted { $0.name < $1.name }
    }
}

extension HealReport {
    fileprivate mutating func note(_ object: ObjectName, in source: Repository, _ error: VarveError) {
        findings.append(Finding(.object(object), in: source.path, error))
        if error.isOfTheMoment { unreadElsewhere.insert(object) }
    }
}
