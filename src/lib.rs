//! sky: plans a job over many clouds as a mixed-integer program, and applies the plan.
//!
//! A job (a DAG of stages and the data between them), a policy (what must hold, what to minimise)
//! and a catalog (what every cloud offers, at what price, dated) go in; one plan comes out, the
//! same bytes for the same inputs on every machine. `sky apply` executes a plan and nothing else.
//!
//! # Flow
//!
//! Data flows one way, and every arrow is a plain value:
//!
//! ```text
//! job.toml, policy.toml, hosts.toml -> spec -> model --+
//! price sources -> feeds -> catalog/ -> catalog -------+-> planning (pure) -> plan (one file) -> execution (effects)
//! ```
//!
//! # Rooms
//!
//! | room | what it does | may use |
//! | --- | --- | --- |
//! | [`cli`] | arguments to settings to operation; exit codes; one file per verb; the clock and the signals of planning | everything |
//! | [`render`] | plans and messages as text, JSON stream, markdown, DOT, Mermaid | everything but cli and feeds |
//! | [`spec`] | what people write: TOML to model, with a span for every message; other formats to TOML | model |
//! | [`catalog`] | what clouds offer: the text format, its loader, queries, the offers of one's own hosts; no network | model |
//! | [`feeds`] | where catalogs come from: one file per price source, over HTTP or from files; registration of a cloud by a file | catalog, model |
//! | [`guide`] | the manual, one topic a file | nothing |
//! | [`model`] | plain data for all: units, job DAG, places, offers, policy, hosts | nothing |
//! | [`planning`] | pure: no IO, no clock, no environment, no threads; its parts are below | catalog, plan, model |
//! | [`planning::rule`] | one file per rule of the policy: what it forbids, by which line | model |
//! | [`planning::compile`] | job, policy and catalog to numbers: candidates, pruning, egress, timing | model, rule, problem, catalog |
//! | [`planning::problem`] | the placement problem and its mixed-integer program, as integers | model |
//! | [`planning::solve`] | the one best placement and its proof; solvers, one file each | model, problem |
//! | [`planning::build`] | from a placement to a plan | compile, problem, solve, verify, rule, plan, catalog, model |
//! | [`planning::verify`] | works a plan out again, with no code of `build` and no solver | compile, problem, rule, plan, catalog, model |
//! | [`planning::explain`] | why a plan is as it is, or why there is none | build and all that it may use |
//! | [`plan`] | the plan's fields, its canonical file: the contract between the halves | model |
//! | [`execution::state`] | snapshot, journal, lock of what was applied, in a folder or a bucket; its keys | model, plan |
//! | [`execution::provider`] | what can create, run and delete; one folder per cloud, and what those share whose machines are reached by SSH: the runner, and leases, keys and tags of what is rented | model |
//! | [`execution::storage`] | artifacts by content hash, and moving them; the buckets between machines | model |
//! | [`execution::apply`] | walks a plan: start, watch, hand data on, interrupt, destroy | plan, state, provider, storage, model |
//! | [`util`] | atomic files, hashes, the clock; the seam of the simulation of `apply` ([`util::simulation`]) | nothing |
//!
//! All may use `util`. Inside a room files form no circle. Tests read the source and fail on any
//! other arrow, on any circle of files, and on any IO in `planning` (`tests/it/architecture.rs`).
//!
//! # Words
//!
//! `src/guide/glossary.md` says what each word means, in code, documentation and messages.
//!
//! # Files on disk
//!
//! | file | what it is |
//! | --- | --- |
//! | `job.toml`, `policy.toml` | written by people |
//! | `hosts.toml` | one's own hosts and clusters, written by people ([`spec::hosts`]) |
//! | `catalog/` | the shipped catalog: text, compiled into the binary; `catalog/README.md` has the format |
//! | `sky.lock` | which catalog plans are made from, by digest ([`catalog::lock`]) |
//! | `~/.cache/sky` | what sources of prices have answered, for the next update; may be deleted |
//! | a plan | one canonical JSON file ([`plan::data`]): sorted keys, integers only |
//! | `sky.state.json`, `.backup` | snapshot of what was applied |
//! | `.sky/` | journal, lock, what is kept of stages (`stages`), their working folders on this machine (`work`), artifacts by content hash, keys for rented machines ([`execution::provider::cloud`]); `store` names the bucket that has the state instead |
//! | `s3://sky-…`, `gs://sky-…`, `az://sky-…` | data between stages ([`execution::storage::bucket`]), until the job is done |
//! | `s3://…`, `gs://…`, `az://…` | a state in a bucket: snapshot, segments of the journal, lock ([`execution::state::store`]) |
//! | `.sky/rehearsal/PROVIDER` | the state of a rehearsal with that provider |
//! | `$XDG_CACHE_HOME/sky` | catalogs that were pinned, for later comparison; digests of large files; may be lost at any time |
//!
//! # Invariants
//!
//! - `planning` and `plan::data` do no IO and read no clock and no
//!   environment; their collections are ordered. Equal inputs give equal plan bytes, in whatever
//!   order files list their entries.
//! - Quantities are integers in types of their own ([`model::units`]); no float is ever in a plan,
//!   and a solver's floats only choose: cost and times are recomputed exactly from the choice.
//! - `solve` and `problem` know no cloud and no file.
//! - What is unknown never satisfies a rule, and an unknown price is never zero.
//! - Only `execution` and `util` write files that an apply depends on, and all
//!   of them atomically. Only `cli` prints.
//! - A plan holds no clock, host, user, absolute path or secret.
//!
//! # Where to look
//!
//! | question | file |
//! | --- | --- |
//! | What does a transfer between two places cost, and which bills count it? | `planning/compile/links.rs`; the verifier's second opinion is `planning/verify/recompute/egress.rs` |
//! | Which offers may a stage take? | `planning/compile/offers.rs` |
//! | May data with this label lie in that country? | `planning/rule/residency.rs` |
//! | Where are the bytes of a plan made? | `plan/file.rs`, by `model/canonical.rs` |
//! | When is money set aside for a machine? | `execution/apply/reservation.rs`, by the arithmetic of `execution/apply/budget.rs` |
//! | How is an error of AWS known as a stockout? | `execution/provider/aws/errors.rs`; each cloud has a file of that name |
//! | What happens then? | `execution/apply/failover.rs` |
//! | In which order are stages begun? | `execution/apply/walk.rs`, by `execution/apply/schedule.rs` |
//! | Which steps does an attempt of a stage take? | `execution/apply/attempt_life.rs` |
//! | How does an attempt end? | `execution/apply/attempt_endings.rs` |
//! | What does an exit code mean? | `cli/exit.rs` |
//!
//! # Adding things
//!
//! - A rule: a file in `planning/rule/`, a line in [`planning::rule::RULES`], its keys in
//!   `spec/policy.rs`.
//! - A solver: a file in `planning/solve/backend/` that implements [`planning::solve::Solver`].
//! - A provider: below.
//! - A verb: a file in `cli/`, a line in `cli/arguments.rs` and one in `cli/mod.rs`.
//! - A price source: a file in `feeds/`, a line in `KINDS` of `feeds/importer.rs`; one that is
//!   asked over HTTP: a file in `feeds/live/`, a line in `SOURCES` of `feeds/live/sources.rs`.
//! - An object store for data between stages: a file in `execution/storage/bucket/` that implements
//!   its `Store`, a line each in `Bucket::open` and `list` of `any_bucket.rs` and in `Staging`.
//! - A key of the job, the policy or `hosts.toml`: its reader in `spec/`, its line in `spec/schema/`
//!   or `spec/hosts/schema.rs`, and a use of it in `tests/it/cli/schema/every-key-*.toml`.
//! - A member of plans: its field in `plan/`, its line in `plan/schema/`.
//! - A format of jobs: a file in `spec/import/`, a line in `cli/import.rs`.
//!
//! # Adding a provider
//!
//! A provider rents and returns machines, and knows no plan, no state and no journal: all that is
//! promised about money, leases and crashes is kept by [`execution::apply`], as long as the
//! provider keeps the contract at the head of [`execution::provider`].
//!
//! 1. A folder in `execution/provider/` with a type that implements
//!    [`execution::provider::Provider`]. `create` is idempotent by [`execution::provider::Token`]:
//!    give its `id` to the cloud as client token or name, and tag the machine in the same call with
//!    token, job, lineage, plan and the end of its lease. `get` and `list` read these tags back;
//!    `list` is what a sweep trusts, so it looks everywhere that `create` may have put something.
//!    `delete` of what is gone is fine.
//! 2. Tell errors apart: [`execution::provider::ErrorKind::Stockout`] and
//!    [`execution::provider::ErrorKind::Quota`] lead to the next alternative, `Throttled` and
//!    `Unreachable` to another try of the same call, `Denied` to the user, anything else to a
//!    failed stage. An error that could mean that the machine was made after all is `Unreachable`.
//! 3. A machine that nobody renews must end itself, by the cloud's own means if it has any, else by
//!    the watchdog of the supervisor that `local` starts; see
//!    `execution/provider/local/supervise.sh`.
//! 4. The inside of a machine is a [`execution::provider::Worker`]; one that is reached like others
//!    shares theirs. A cloud whose API rents machines that SSH reaches implements
//!    [`execution::provider::cloud::Cloud`] instead, and has leases, keys and the worker from
//!    there; behind a cargo feature of its name if its SDK is large, as `aws` and `gcp` are.
//! 5. One line each in [`execution::provider::NAMES`], [`execution::provider::open`], and
//!    [`execution::provider::of_cloud`] if places of a cloud are its own.
//! 6. A subject in `tests/it/execution/proof/conformance.rs`, which makes every call of the
//!    contract, and a ground in `tests/it/execution/proof/ground.rs`, on which `sky` is killed at
//!    every record of the journal and every call. Both must pass as they are.
//!
//! What `apply` does with it: [`execution::apply`] walks the plan; for each attempt it sets money
//! aside (`apply/budget.rs`), announces the call in the journal ([`execution::state::Event`]),
//! makes it (`apply/calls.rs`, which waits out what passes), watches (`apply/watch.rs`, which
//! renews the lease and saves progress), collects and releases. What is unavailable leads to the
//! next alternative (`apply/failover.rs`).

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests prepare files and variables by themselves"
    )
)]

pub mod catalog;
pub mod cli;
pub mod execution;
pub mod feeds;
pub mod guide;
pub mod model;
pub mod plan;
pub mod planning;
pub mod render;
pub mod spec;
pub mod util;
