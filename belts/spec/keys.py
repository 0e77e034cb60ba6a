"""Every key of a belt file, once: the parser, the JSON Schema and a test of the manual read it."""

from __future__ import annotations

from belts.spec import limits
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
ENDS = ("success", "failure", "cancelled", "always")
SHELLS = ("bash", "sh", "python")
RETRY_REASONS = ("failure", "setup", "timeout", "runner-lost")
BUILDS = ("last", "last_successful", "last_failure")
OUTPUT_TYPES = ("String",)

_LINE = r"\S(.*\S)?"
_URL = r"[^\s-]\S*"


def _some_of(words: tuple[str, ...]) -> ListOf:
    return ListOf(Choice(words), len(words), single=True, least=1, unique=True)


_name = Word(NAME, "a name", "build-gem", limits.NAME_CHARACTERS)
_line = Word(_LINE, "one line of text", "some text", limits.LINE_CHARACTERS)
_url = Word(_URL, "a repository's URL", "https://host/repo.git", limits.LINE_CHARACTERS)
_queue = Word(QUEUE, "a queue", "gpu", limits.QUEUE_CHARACTERS)
_variable = Word(VARIABLE, "a variable", "VERSION", limits.NAME_CHARACTERS)
_supplier = Word(
    rf"{NAME}(\.{NAME}){{0,2}}",
    "an input: source, a job, or product.belt.job",
    "ami.build-ror-ami",
    3 * limits.NAME_CHARACTERS + 2,
)
_output = Word(
    rf"{VARIABLE}(=[\s\S]*)?",
    "an output: NAME or NAME=value",
    "VERSION=$VERSION",
    limits.VALUE_BYTES,
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
            Key("from", _supplier, "Whose outputs: a product, belt or job.", required=True),
            Key("build", _build, "Which run of that belt, instead of the one in the chain."),
            Key("branch", _line, "Take the latest successful run on this branch."),
        ),
    ),
)

OUTPUT = Tagged(
    _output,
    OUTPUT_TYPES,
    Record(
        "an output",
        (
            Key("name", _variable, "The output's name.", required=True),
            Key("type", Choice(OUTPUT_TYPES), "What kind of value it is; String."),
            Key("value", Text(limits.VALUE_BYTES), "A word that the job's shell expands."),
        ),
    ),
)

RETRY = WholeOr(
    Whole(0, limits.RETRIES),
    Record(
        "a retry rule",
        (
            Key("max", Whole(0, limits.RETRIES), "How many further attempts.", required=True),
            Key(
                "on",
                _some_of(RETRY_REASONS),
                "After which ends; failure and setup when left out.",
            ),
            Key(
                "exit-codes",
                ListOf(Whole(1, 255), 255, single=True, least=1, unique=True),
                "Only failures with these exit statuses.",
            ),
            Key("delay", Duration(0, limits.DAY_S), "The wait before the next attempt."),
            Key(
                "backoff",
                Decimal(1.0, limits.BACKOFF),
                "By what each further delay is multiplied.",
            ),
        ),
    ),
)

_belts_started = Key("belts", _names, "The belts that are started.", required=True)
_on = Key("on", _ends, "After which ends of the belt run; success when left out.", null=False)
_downstream_product = Key("downstream-product", _name, "The product of those belts.", required=True)

JOB_DOWNSTREAM = Record(
    "a job's downstream",
    (_downstream_product, _belts_started),
    elsewhere=(
        ("on", "A job's downstreams start when the job has succeeded; use the belt's downstreams."),
    ),
)
BELT_DOWNSTREAM = Record("a belt's downstream", (_downstream_product, _belts_started, _on))

_queue_key = Key("queue", _queue, "The queue of the runners that may take it.")
_env_key = Key("env", _env, "Variables with their values; references are replaced, nothing else.")
_credentials_key = Key("credentials", _credentials, "Names of credentials that the job gets.")
_shell_key = Key("shell", Choice(SHELLS), "The language of the scripts; bash.")
_directory_key = Key("working-directory", _line, "Where the scripts start, below the workspace.")
_timeout_key = Key("timeout", _timeout, "The longest that an attempt may take.")
_post_timeout_key = Key("post-run-timeout", _post_run_timeout, "The longest for post-run; 60s.")
_retry_key = Key("retry", RETRY, "How often, after what and when the job is tried again.")

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
        Key("name", _name, "The job's name, once in its belt.", required=True),
        Key(
            "inputs",
            ListOf(INPUT, limits.INPUTS_PER_JOB, single=True),
            "What it needs: source, jobs of this belt, other products' belts.",
        ),
        Key("pre-run", Script(), "Comes before the commands, in the same shell."),
        Key("commands", Script(), "What the job does.", required=True),
        Key("post-run", Script(), "Always runs afterwards, in a shell of its own."),
        Key("outputs", ListOf(OUTPUT, limits.OUTPUTS_PER_JOB), "The values that it hands on."),
        Key(
            "downstreams",
            ListOf(JOB_DOWNSTREAM, limits.DOWNSTREAMS),
            "Belts that start when this job has succeeded.",
        ),
        *SHARED_JOB_KEYS,
    ),
    elsewhere=(
        ("needs", "A job that this one needs is listed under inputs."),
        ("script", "What a job does is written under commands."),
        ("steps", "What a job does is written under commands."),
    ),
)

BELT = Record(
    "a belt",
    (
        Key("name", _name, "The belt's name, once in the file.", required=True),
        Key("description", _description, "What it is for."),
        Key("env", _env, "Variables for all its jobs; a job's own win."),
        Key("defaults", DEFAULTS, "Values of keys for all its jobs; a job's own win."),
        Key("jobs", ListOf(JOB, limits.JOBS_PER_BELT, least=1), "Its jobs.", required=True),
        Key(
            "downstreams",
            ListOf(BELT_DOWNSTREAM, limits.DOWNSTREAMS),
            "Belts that start when this belt's run has ended.",
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
                    Key("repo", _url, "The repository; the product's own when left out."),
                    Key(
                        "type",
                        _some_of(EVENT_TYPES),
                        "What happened there.",
                        required=True,
                    ),
                    Key("branches", _branches, "Patterns of the branches; all.", null=False),
                    _belts_started,
                ),
                elsewhere=(("branch", "Patterns of branches are listed under branches."),),
            ),
        ),
        (
            "upstream-build",
            Record(
                "an upstream-build trigger",
                (
                    Key("upstream-product", _name, "The product waited for.", required=True),
                    Key("upstream-belt", _name, "Its belt.", required=True),
                    Key("build", _build, "Which of its runs supplies values; the one that ended."),
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
                    Key("cron", _line, "Minute, hour, day, month, weekday.", required=True),
                    Key("timezone", _line, "The time zone of the hours; UTC."),
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
        Key("product", _name, "The product's name.", required=True),
        Key("description", _description, "What it is."),
        Key("source", _url, "The product's repository."),
        Key("triggers", ListOf(TRIGGER, limits.TRIGGERS_PER_FILE), "What starts its belts."),
        Key("belts", ListOf(BELT, limits.BELTS_PER_FILE), "Its belts."),
    ),
    elsewhere=(("jobs", "Jobs belong to a belt: belts: [{name: ..., jobs: [...]}]."),),
)
