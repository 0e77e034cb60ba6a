"""Every key of a belt file. The parser, the JSON Schema and a test of the manual read this."""

from __future__ import annotations

from belts.spec import limits
from belts.spec.hints import JOBS, TRIGGERS
from belts.spec.kinds import (
    Choice,
    Decimal,
    Duration,
    Key,
    ListOf,
    MapOf,
    Marked,
    Record,
    Script,
    Tagged,
    Text,
    Whole,
    WholeOr,
    Word,
    WordOrRecord,
)
from belts.spec.names import NAME, QUEUE, VARIABLE

EVENT_TYPES = ("push", "pull-request", "merge", "tag")
#: Events that belts may already name, and that no source reports: git itself has none of them.
NOT_RECEIVED = ("pull-request",)
ENDS = ("success", "failure", "cancelled", "always")
SHELLS = ("bash", "sh", "python")
RETRY_REASONS = ("failure", "setup", "timeout", "runner-lost")
BUILDS = ("last", "last_successful", "last_failure")
OUTPUT_TYPES = ("String",)

_LINE = r"\S(.*\S)?"
_URL = r"[^\s-]\S*"

_BELTS_FORM = "belts:\n  - name: tests\n    jobs:\n      - name: unit\n        commands: make test"
_JOBS_FORM = "jobs:\n  - name: unit\n    commands: make test"
_TRIGGERS_FORM = "triggers:\n  - scm-event:\n      type: push\n      belts: tests"
_OUTPUTS_FORM = "outputs:\n  - String: VERSION"
_DOWNSTREAMS_FORM = "downstreams:\n  - downstream-product: image\n    belts: build"


def _some_of(words: tuple[str, ...]) -> ListOf:
    return ListOf(Choice(words), len(words), single=True, least=1, unique=True)


_NAME_RULE = "Use letters, digits, - and _. Begin with a letter or digit."

_name = Word(NAME, "a name", "build-gem", limits.NAME_CHARACTERS, _NAME_RULE)
_line = Word(_LINE, "one line of text", "some text", limits.LINE_CHARACTERS)
_url = Word(_URL, "the URL of a repository", "https://host/repo.git", limits.LINE_CHARACTERS)
_queue = Word(
    QUEUE,
    "the name of a queue",
    "gpu",
    limits.QUEUE_CHARACTERS,
    "Use lower-case letters, digits, ., - and _. Begin with a letter or digit.",
)
_variable = Word(
    VARIABLE,
    "the name of a variable",
    "VERSION",
    limits.NAME_CHARACTERS,
    "Use letters, digits and _. Begin with a letter or _.",
)
_supplier = Word(
    rf"{NAME}(\.{NAME}){{0,2}}",
    "an input",
    "ami.build-ror-ami",
    3 * limits.NAME_CHARACTERS + 2,
    "Write source, a job of this belt, or PRODUCT.BELT.JOB.",
)
_output = Word(
    rf"{VARIABLE}(=[\s\S]*)?",
    "an output",
    "VERSION=$VERSION",
    limits.VALUE_BYTES,
    "Write NAME or NAME=value.",
)
_description = Text(limits.VALUE_BYTES)
_names = ListOf(_name, limits.NAMES_PER_LIST, single=True, least=1, unique=True)
_ends = _some_of(ENDS)
_branches = ListOf(_line, limits.NAMES_PER_LIST, single=True, least=1, unique=True)
_build = WholeOr(Whole(1, 2_147_483_647), Choice(BUILDS))
_env = MapOf(_variable, Text(limits.VALUE_BYTES), limits.VARIABLES_PER_JOB)
_credentials = ListOf(_name, limits.CREDENTIALS_PER_JOB, single=True, unique=True)
_timeout = Duration(1, limits.DAY_S)
_post_run_timeout = Duration(1, limits.POST_RUN_S)

INPUT = WordOrRecord(
    _supplier,
    Record(
        "an input",
        (
            Key("from", _supplier, "The product, belt or job that has the outputs.", required=True),
            Key("build", _build, "The run that supplies the outputs."),
            Key("branch", _line, "The branch whose latest successful run supplies the outputs."),
        ),
    ),
)

OUTPUT = Tagged(
    _output,
    OUTPUT_TYPES,
    Record(
        "an output",
        (
            Key("name", _variable, "The name of the output.", required=True),
            Key("type", Choice(OUTPUT_TYPES), "The type of the value. Default: String."),
            Key("value", Text(limits.VALUE_BYTES), "A word that the shell of the job expands."),
        ),
    ),
)

RETRY = WholeOr(
    Whole(0, limits.RETRIES),
    Record(
        "a retry rule",
        (
            Key("max", Whole(0, limits.RETRIES), "The number of further attempts.", required=True),
            Key(
                "on",
                _some_of(RETRY_REASONS),
                "The ends after which the job is tried again. Default: failure and setup.",
            ),
            Key(
                "exit-codes",
                ListOf(Whole(1, 255), 255, single=True, least=1, unique=True),
                "The exit statuses to which failure is limited. Default: all.",
            ),
            Key(
                "delay", Duration(0, limits.DAY_S), "The wait before the next attempt. Default: 0."
            ),
            Key(
                "backoff",
                Decimal(1.0, limits.BACKOFF),
                "The factor from one wait to the next. Default: 1.",
            ),
        ),
    ),
)

_belts_started = Key("belts", _names, "The belts to start.", required=True)
_on = Key("on", _ends, "The ends of the run that count. Default: success.", null=False)
_downstream_product = Key(
    "downstream-product", _name, "The product that has the belts.", required=True
)

JOB_DOWNSTREAM = Record(
    "a job's downstream",
    (_downstream_product, _belts_started),
    elsewhere=(
        (
            "on",
            "Downstreams of a job start when it has succeeded. Write others at the belt.",
        ),
    ),
)
BELT_DOWNSTREAM = Record("a belt's downstream", (_downstream_product, _belts_started, _on))

_queue_key = Key(
    "queue", _queue, "The queue that the job waits in. Default: the queue of the site."
)
_env_key = Key("env", _env, "Variables of the job. References in the values are replaced.")
_credentials_key = Key("credentials", _credentials, "Names of credentials that the job gets.")
_shell_key = Key("shell", Choice(SHELLS), "The language of the scripts. Default: bash.")
_directory_key = Key(
    "working-directory", _line, "The folder that the scripts start in, below the workspace."
)
_timeout_key = Key(
    "timeout", _timeout, "The time limit of an attempt. Default: the limit of the site."
)
_post_timeout_key = Key(
    "post-run-timeout", _post_run_timeout, "The time limit of post-run. Default: 60s."
)
_retry_key = Key("retry", RETRY, "When and how often the job is tried again. Default: 0.")

SHARED_JOB_KEYS = (
    _queue_key,
    _env_key,
    _credentials_key,
    _shell_key,
    _directory_key,
    _timeout_key,
    _post_timeout_key,
    _retry_key,
)

DEFAULTS = Record("the defaults of a belt", SHARED_JOB_KEYS)

JOB = Record(
    "a job",
    (
        Key("name", _name, "The name of the job.", required=True),
        Key(
            "inputs",
            ListOf(INPUT, limits.INPUTS_PER_JOB, single=True),
            "What the job needs: source, jobs of this belt, belts of other products.",
        ),
        Key("pre-run", Script(), "A script that runs before the commands, in the same shell."),
        Key("commands", Script(), "The script of the job.", required=True),
        Key("post-run", Script(), "A script that always runs afterwards, in a shell of its own."),
        Key(
            "outputs",
            ListOf(OUTPUT, limits.OUTPUTS_PER_JOB, example=_OUTPUTS_FORM),
            "The values that the job hands on.",
        ),
        Key(
            "downstreams",
            ListOf(JOB_DOWNSTREAM, limits.DOWNSTREAMS, example=_DOWNSTREAMS_FORM),
            "Belts that start when this job has succeeded.",
        ),
        *SHARED_JOB_KEYS,
    ),
)

BELT = Record(
    "a belt",
    (
        Key("name", _name, "The name of the belt.", required=True),
        Key("description", _description, "A description for people."),
        Key("env", _env, "Variables of all jobs of the belt. A variable of the job comes first."),
        Key("defaults", DEFAULTS, "Keys for all jobs of the belt. A key of the job comes first."),
        Key(
            "jobs",
            ListOf(JOB, limits.JOBS_PER_BELT, least=1, example=_JOBS_FORM),
            "The jobs of the belt.",
            required=True,
        ),
        Key(
            "downstreams",
            ListOf(BELT_DOWNSTREAM, limits.DOWNSTREAMS, example=_DOWNSTREAMS_FORM),
            "Belts that start when a run of this belt has ended.",
        ),
    ),
)

TRIGGER = Marked(
    "a trigger",
    (
        (
            "scm-event",
            Record(
                "an scm-event trigger",
                (
                    Key("repo", _url, "The repository. Default: that of the product."),
                    Key(
                        "type",
                        _some_of(EVENT_TYPES),
                        "The kinds of event.",
                        required=True,
                    ),
                    Key(
                        "branches",
                        _branches,
                        "Patterns of branch names. Default: all branches.",
                        null=False,
                    ),
                    _belts_started,
                ),
                elsewhere=(
                    ("branch", "Write patterns of branches under `branches`."),
                    ("tags", "Write type: tag. `branches` does not apply to tags."),
                    ("paths", "There is no `paths` yet. A trigger fires for changes of all files."),
                ),
            ),
        ),
        (
            "upstream-build",
            Record(
                "an upstream-build trigger",
                (
                    Key(
                        "upstream-product",
                        _name,
                        "The product whose run starts the belts.",
                        required=True,
                    ),
                    Key("upstream-belt", _name, "The belt of that product.", required=True),
                    Key(
                        "build",
                        _build,
                        "The run that supplies outputs. Default: the run that ended.",
                    ),
                    _on,
                    _belts_started,
                ),
            ),
        ),
        (
            "schedule",
            Record(
                "a schedule trigger",
                (
                    Key("cron", _line, "Minute, hour, day, month and weekday.", required=True),
                    Key("timezone", _line, "The time zone of the schedule. Default: UTC."),
                    _belts_started,
                ),
            ),
        ),
        ("manual", Record("a manual trigger", (_belts_started,))),
    ),
)

FILE = Record(
    "the file",
    (
        Key("product", _name, "The name of the product.", required=True),
        Key("description", _description, "A description for people."),
        Key("source", _url, "The URL of the repository of the product."),
        Key(
            "triggers",
            ListOf(TRIGGER, limits.TRIGGERS_PER_FILE, example=_TRIGGERS_FORM),
            "What starts the belts.",
        ),
        Key(
            "belts",
            ListOf(BELT, limits.BELTS_PER_FILE, example=_BELTS_FORM),
            "The belts of the product.",
        ),
    ),
    elsewhere=(("jobs", JOBS), ("on", TRIGGERS)),
)
