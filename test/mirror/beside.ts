/** Several daemons on one directory and one status directory: who owns the mirror, who stands by. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Daemon, type NodeOptions } from '../servers/daemon.ts';
import { until } from '../servers/processes.ts';
import type { TestMirror } from './test-mirror.ts';

const TIMEOUT_MS = 60_000;

/** One daemon beside others, with a log of its own. */
export interface Beside extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly readLog: () => Promise<string>;
  /** Returns when its log has these words so many times. */
  readonly said: (words: string, times?: number) => Promise<void>;
}

export interface BesideOptions extends NodeOptions {
  /** Instead of the one that all have. */
  readonly statusDirectory?: string;
}

/** Starts one more daemon on the mirror's files. */
export async function startBeside(
  mirror: TestMirror,
  name: string,
  options: BesideOptions = {},
): Promise<Beside> {
  const { mirrorDirectory, statusDirectory } = mirror;
  const log = join(dirname(mirror.log), `${name}.log`);
  const args = ['--log-level', 'debug'];
  const daemon = await Daemon.start({ mirrorDirectory, statusDirectory, log, args, ...options });
  const readLog = async (): Promise<string> => readFile(log, 'utf8');
  return {
    daemon,
    readLog,
    said: async (words, times = 1) =>
      until(async () => (await readLog()).split(words).length > times, {
        timeoutMs: TIMEOUT_MS,
        late: async () => new Error(`${name} never said "${words}":\n${await readLog()}`),
      }),
    [Symbol.asyncDispose]: async () => {
      daemon.signal('SIGCONT');
      await daemon[Symbol.asyncDispose]();
    },
  };
}

const OWNERS = /* sql */ `
  select m.name as mirror, daemon.objid::text as daemon
  from bunnydb.mirrors m
  join pg_locks owner on owner.locktype = 'advisory' and owner.granted and owner.objsubid = 1
    and owner.classid::bigint << 32 | owner.objid::bigint = hashtextextended(m.name, 70201140)
  join pg_locks daemon on daemon.pid = owner.pid and daemon.locktype = 'advisory'
    and daemon.classid = 70201142
  where owner.database = (select oid from pg_database where datname = current_database())
  order by 1`;

/** The id of the daemon that has each mirror of the destination. */
export async function ownersAt(mirror: TestMirror): Promise<Map<string, string>> {
  const rows = await mirror.atDestination(OWNERS);
  return new Map(rows.map(({ mirror: name, daemon }) => [name ?? '', daemon ?? '']));
}

/** Which of them has the mirror now. */
export async function ownerOf(mirror: TestMirror, among: readonly Beside[]): Promise<Beside> {
  let found: Beside | undefined;
  const look = async (): Promise<boolean> => {
    const id = (await ownersAt(mirror)).get(mirror.name);
    for (const one of among)
      if (id !== undefined && (await one.readLog()).includes(`"daemon":${id},`)) found = one;
    return found !== undefined;
  };
  const late = async (): Promise<Error> => new Error('nobody has the mirror');
  await until(look, { timeoutMs: TIMEOUT_MS, late });
  if (found === undefined) throw await late();
  return found;
}

/** Returns when so many daemons would take one of the destination's mirrors. */
export async function standbys(mirror: TestMirror, count: number): Promise<void> {
  const look = async (): Promise<boolean> => {
    const rows = await mirror.atDestination(`
      select pid
      from pg_locks join bunnydb.mirrors on
        classid::bigint << 32 | objid::bigint = hashtextextended(name, 70201141)
      where locktype = 'advisory' and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())`);
    return rows.length === count;
  };
  const late = async (): Promise<Error> => new Error(`there are not ${count} standbys`);
  await until(look, { timeoutMs: TIMEOUT_MS, late });
}

/** Each takeover raises it by one. */
export async function epochsAt(mirror: TestMirror): Promise<Map<string, number>> {
  const rows = await mirror.atDestination('select name, epoch from bunnydb.mirrors');
  return new Map(rows.map(({ name, epoch }) => [name ?? '', Number(epoch)]));
}

export async function epochOf(mirror: TestMirror): Promise<number | undefined> {
  return (await epochsAt(mirror)).get(mirror.name);
}
