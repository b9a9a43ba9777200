import { systemClock } from '../core/clock.ts';
import { classify } from '../core/errors.ts';
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Verification } from '../core/verification.ts';
import { isRecordOf } from '../plan/table-case.ts';
import { readLedger } from '../postgres/ledger.ts';
import { requestVerification } from '../postgres/ledger-requests.ts';
import { isMirrorLocked } from '../postgres/ownership.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { readStatus } from '../status/read-status.ts';
import type { Status } from '../status/status.ts';
import { EXIT } from './exit-codes.ts';
import { findTable, noSuchTable } from './find-table.ts';
import { tellError, type Output } from './output.ts';
import { selectMirrors } from './select-mirrors.ts';

export interface VerifyOptions {
  readonly dir: string;
  readonly statusDir: string;
  readonly output: 'text' | 'json';
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const POLL_MS = 200;

/** What is known of one table that was asked for. */
type Answer =
  | { readonly is: 'awaited' }
  | { readonly is: 'impossible'; readonly why: string }
  | { readonly is: 'found'; readonly verification: Verification };

type Answers = ReadonlyMap<MirrorTable, Answer>;

/**
 * `bunnydb verify NAME [TABLE…]`: asks the daemon, by way of the ledger, to compare those tables with their
 * source, and waits for what it finds. Exit codes: done (all alike), differences, failed, timed out,
 * invalid files, usage (no such table).
 */
export async function verify(
  name: string,
  tables: readonly string[],
  options: VerifyOptions,
  out: Output,
): Promise<number> {
  const [mirror] = (await selectMirrors(options.dir, name, out)) ?? [];
  if (mirror === undefined) return EXIT.invalidFiles;
  const unknown = tables.filter((table) => findTable(mirror, table) === undefined);
  for (const table of unknown) out.error(`${noSuchTable(mirror, table)}\n`);
  if (unknown.length > 0) return EXIT.usage;
  const named = tables.map((table) => findTable(mirror, table));
  const wanted = mirror.tables.filter((table) => tables.length === 0 || named.includes(table));
  try {
    const answers = await ask(mirror, wanted, options);
    return await tell(mirror, answers, options, out);
  } catch (thrown) {
    tellError(out, classify(thrown), name);
    return EXIT.failed;
  }
}

/** Requests all of them at once; returns when each is answered, or the time is over. */
async function ask(
  mirror: Mirror,
  wanted: readonly MirrorTable[],
  { timeoutMs, signal }: VerifyOptions,
): Promise<Answers> {
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  await using session = await openSession(mirror.destination, {
    mirror: mirror.name,
    role: 'observer',
    signal,
  });
  const { tables } = await readLedger(session, mirror.name);
  const asked = tables.filter((record) => wanted.some((table) => isRecordOf(record, table)));
  const ids = asked.map(({ id }) => id);
  if (ids.length > 0) await requestVerification(session, mirror.name, ids);
  for (;;) {
    const answers = await look(session, mirror, wanted);
    const isDone = [...answers.values()].every(({ is }) => is !== 'awaited');
    if (isDone || systemClock.monotonicMs() >= deadlineMs || signal.aborted) return answers;
    await systemClock.sleep(POLL_MS, signal);
  }
}

async function look(
  session: Session,
  mirror: Mirror,
  wanted: readonly MirrorTable[],
): Promise<Answers> {
  const isRun = await isMirrorLocked(session, mirror.name);
  const { tables } = await readLedger(session, mirror.name);
  return new Map(
    wanted.map((table): [MirrorTable, Answer] => {
      const record = tables.find((one) => isRecordOf(one, table));
      return [table, answerOf(mirror, record, isRun)];
    }),
  );
}

function answerOf(mirror: Mirror, record: TableRecord | undefined, isRun: boolean): Answer {
  const { verification, verifyRequestedAt, state } = record ?? {};
  if (
    verification !== undefined &&
    verifyRequestedAt !== undefined &&
    verification.checkedAt >= verifyRequestedAt
  )
    return { is: 'found', verification };
  const why = whyNot(mirror, state, isRun);
  return why === undefined ? { is: 'awaited' } : { is: 'impossible', why };
}

/** Why no daemon will compare it as things are. */
function whyNot(
  mirror: Mirror,
  state: TableRecord['state'] | undefined,
  isRun: boolean,
): string | undefined {
  if (mirror.suspend) return 'the mirror is suspended';
  if (!isRun) return 'no daemon runs the mirror';
  if (state === undefined) return 'it was not copied yet';
  if (state.phase === 'Live') return undefined;
  if (state.phase === 'Copying' || state.phase === 'CatchingUp')
    return `it is ${state.phase}, and compared by itself when that is done`;
  const { failure } = state;
  return `it is ${state.phase}${failure === undefined ? '' : `: ${failure.message}. ${failure.hint}`}`;
}

async function tell(
  mirror: Mirror,
  answers: Answers,
  { output, statusDir }: VerifyOptions,
  out: Output,
): Promise<number> {
  const found = [...answers].flatMap(([table, answer]) =>
    answer.is === 'found' ? [{ table, verification: answer.verification }] : [],
  );
  out.print(
    output === 'json'
      ? `${JSON.stringify(found.map(toJson), null, 2)}\n`
      : found.map(toLine).join(''),
  );
  // Only for a hint: what was found stands without it.
  const status = await readStatus(statusDir, mirror.name).catch(() => undefined);
  for (const [table, answer] of answers) {
    const source = formatTableName(table.source);
    if (answer.is === 'impossible') out.error(`${source}: not compared: ${answer.why}\n`);
    if (answer.is === 'awaited') out.error(`${source}: timed out${obstacle(status, source)}\n`);
  }
  const all = [...answers.values()];
  if (all.some(({ is }) => is === 'impossible')) return EXIT.failed;
  if (all.some(({ is }) => is === 'awaited')) return EXIT.timedOut;
  const isSame = found.every(({ verification }) => verification.result === 'Match');
  return isSame ? EXIT.done : EXIT.differences;
}

/** What the daemon says is in the way, of the table or of all. */
function obstacle(status: Status | undefined, source: string): string {
  const error = status?.status.tables.find((one) => one.source === source)?.error;
  if (error !== undefined) return `: ${error.message}. ${error.hint}`;
  const ready = status?.status.conditions.find(({ type }) => type === 'Ready');
  return ready?.status === 'False' ? `: ${ready.message}` : '';
}

interface Found {
  readonly table: MirrorTable;
  readonly verification: Verification;
}

function toLine({ table, verification }: Found): string {
  const { result, rows, lsn, message } = verification;
  const what = message ?? `${rows} ${rows === 1 ? 'row' : 'rows'}`;
  return `${formatTableName(table.source)}: ${result} at ${lsn}: ${what}\n`;
}

/** A stable form for scripts. */
function toJson({ table, verification }: Found): Record<string, unknown> {
  const { result, rows, destinationRows, lsn, checkedAt, message } = verification;
  return {
    table: formatTableName(table.source),
    result,
    rows,
    destination_rows: destinationRows,
    lsn,
    checked_at: checkedAt,
    message: message ?? null,
  };
}
