//! The kinds of events that `--json` streams have, and their fields: what the topic `json-events`
//! of the guide is made from.

/// A field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventField {
    /// The path to the field, such as `hook.resource.addr`; `*` stands for any name, and `[]` for
    /// the elements of an array.
    pub path: &'static str,
    /// What the field says, in Markdown, with its unit.
    pub meaning: &'static str,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// The value of the field `type`.
    pub name: &'static str,
    /// The verbs in whose streams the event is.
    pub verbs: &'static [&'static str],
    /// When the event is written, in Markdown.
    pub meaning: &'static str,
    /// The fields besides [`COMMON_FIELDS`].
    pub fields: &'static [EventField],
}

const fn field(path: &'static str, meaning: &'static str) -> EventField {
    EventField { path, meaning }
}

/// The fields that every event has.
pub const COMMON_FIELDS: &[EventField] = &[
    field("@level", "`info`, `warn` or `error`."),
    field("@message", "The event in words, for people."),
    field("@module", "Always `sky.ui`."),
    field("@timestamp", "The time of the event, UTC, as in RFC 3339."),
    field("type", "The kind of the event: one of the names below."),
];

/// All kinds of events, in the order in which a stream may have them.
pub const EVENT_KINDS: &[EventKind] = &[
    EventKind {
        name: "version",
        verbs: &["plan", "apply", "destroy", "refresh"],
        meaning: "The first line of every stream.",
        fields: &[
            field("sky", "The version of sky."),
            field(
                "ui",
                "The version of the stream's format. It changes when a field changes its meaning or is removed.",
            ),
        ],
    },
    EventKind {
        name: "planned_change",
        verbs: &["plan", "apply"],
        meaning: "What an apply would do to a stage. Stages that stay as they are have no such line.",
        fields: &[
            field(
                "change.action",
                "`create`, `update` (run again) or `delete`.",
            ),
            field(
                "change.reason",
                "Why: `planned`, `not_in_plan`, or what has changed since the stage was run.",
            ),
            field(
                "change.provider_missing",
                "The cloud of the stage, if this sky has no provider for it.",
            ),
            field(
                "change.resource.addr",
                "The address of the stage, `stage.NAME`.",
            ),
            field("change.resource.resource", "The same address."),
            field("change.resource.resource_type", "Always `stage`."),
            field("change.resource.resource_name", "The name of the stage."),
        ],
    },
    EventKind {
        name: "cost_summary",
        verbs: &["plan", "apply"],
        meaning: "The costs and the makespan of the plan.",
        fields: &[field(
            "totals.*",
            "The totals of the plan, as in `sky guide plan-format`.",
        )],
    },
    EventKind {
        name: "resource_drift",
        verbs: &["refresh"],
        meaning: "A machine or a command is not as the state has it; `@message` says what differs. The action is \
            `delete` if it no longer exists, else `update`.",
        fields: &[],
    },
    EventKind {
        name: "apply_start",
        verbs: &["apply"],
        meaning: "A stage begins.",
        fields: &[
            field("hook.attempt", "The number of the attempt, from 1."),
            field("hook.place", "The place of the stage."),
            field(
                "hook.resumed",
                "Whether an earlier apply began the attempt, and this one goes on with it.",
            ),
        ],
    },
    EventKind {
        name: "apply_progress",
        verbs: &["apply"],
        meaning: "A stage runs; again every ten seconds while it does.",
        fields: &[
            field(
                "hook.attempt",
                "The number of the attempt, in the first such line of an attempt.",
            ),
            field(
                "hook.status",
                "`running`, in the first such line of an attempt.",
            ),
            field(
                "hook.elapsed_seconds",
                "The time since the stage began, in whole seconds.",
            ),
        ],
    },
    EventKind {
        name: "stage_log",
        verbs: &["apply"],
        meaning: "A line that the command of a stage printed.",
        fields: &[field("hook.line", "The line, without its end.")],
    },
    EventKind {
        name: "failover",
        verbs: &["apply"],
        meaning: "An offer was unavailable, and the stage goes on with an alternative of the plan.",
        fields: &[
            field("hook.place", "The place of the alternative."),
            field("hook.instance_type", "The machine type of the alternative."),
            field(
                "hook.decided_us",
                "How long the decision took, in microseconds.",
            ),
        ],
    },
    EventKind {
        name: "apply_complete",
        verbs: &["apply", "destroy"],
        meaning: "A stage is done, or what there was of it is deleted.",
        fields: &[field(
            "hook.elapsed_seconds",
            "The time that the stage took, in whole seconds; not in the stream of `destroy`.",
        )],
    },
    EventKind {
        name: "apply_errored",
        verbs: &["apply"],
        meaning: "A stage has failed or was interrupted.",
        fields: &[
            field(
                "hook.elapsed_seconds",
                "The time since the stage began, in whole seconds.",
            ),
            field("hook.interrupted", "`true` if a signal ended the stage."),
        ],
    },
    EventKind {
        name: "diagnostic",
        verbs: &["plan", "apply", "destroy", "refresh"],
        meaning: "A warning or an error.",
        fields: &[
            field("diagnostic.severity", "`warning` or `error`."),
            field("diagnostic.summary", "What is wrong, in one line."),
            field(
                "diagnostic.detail",
                "The whole message with its way out; may be empty.",
            ),
            field(
                "diagnostic.address",
                "The address of the stage that it is about.",
            ),
            field(
                "diagnostic.conflict",
                "If no plan is possible: the conflicting lines and what would be enough, as in `sky explain --json`.",
            ),
        ],
    },
    EventKind {
        name: "outputs",
        verbs: &["apply"],
        meaning: "Where the artifacts of the job are.",
        fields: &[field(
            "outputs.*",
            "By artifact, as `STAGE.NAME`: its path in the folder of the state.",
        )],
    },
    EventKind {
        name: "change_summary",
        verbs: &["plan", "apply", "destroy", "refresh"],
        meaning: "The last line of every stream, also after a failure. In the stream of `plan` it also \
            has all fields of the plan (`sky guide plan-format`).",
        fields: &[
            field("changes.operation", "The verb."),
            field(
                "changes.add",
                "The number of stages to run or run for the first time.",
            ),
            field(
                "changes.change",
                "The number of stages to run or run again.",
            ),
            field("changes.import", "Always 0."),
            field(
                "changes.remove",
                "The number of stages of which something is or was deleted.",
            ),
            field(
                "changes.unchanged",
                "The number of stages that were done already.",
            ),
            field("changes.failed", "The number of stages that failed."),
            field(
                "changes.skipped",
                "The number of stages that were not begun.",
            ),
            field(
                "changes.interrupted",
                "The number of stages that a signal ended.",
            ),
        ],
    },
];

/// The kinds whose events are about one stage, and have [`HOOK_FIELDS`].
pub const HOOK_KINDS: &[&str] = &[
    "resource_drift",
    "apply_start",
    "apply_progress",
    "stage_log",
    "failover",
    "apply_complete",
    "apply_errored",
];

/// The fields of every event about one stage.
pub const HOOK_FIELDS: &[EventField] = &[
    field("hook.action", "`create`, `update` (run again) or `delete`."),
    field(
        "hook.resource.addr",
        "The address of the stage, `stage.NAME`.",
    ),
    field("hook.resource.resource", "The same address."),
    field("hook.resource.resource_type", "Always `stage`."),
    field("hook.resource.resource_name", "The name of the stage."),
    field("hook.resource.resource_key", "Always `null`."),
];
