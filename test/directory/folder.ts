/** A directory of mirror files that is looked at as the daemon does, with a clock of the test's own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { formatTableName } from '../../src/core/table-name.ts';
import {
  decideIntents,
  type Decision,
  type KnownMirrors,
} from '../../src/daemon/directory/intents.ts';
import { intentOf } from '../../src/daemon/directory/known-mirror.ts';
import { DirectoryReader, type Look } from '../../src/spec/load.ts';

export const GRACE_MS = 30_000;
/** Keeps a directory from being empty. */
export const PEER = `apiVersion: bunnydb/v1
kind: Peer
metadata: {name: from}
spec: {host: source.internal, database: shop, user: bunny}
`;

/** A valid mirror file of tables in public; `more` are lines under spec. */
export function mirrorFile(name: string, tables: readonly string[], more = ''): string {
  return `apiVersion: bunnydb/v1
kind: Mirror
metadata: {name: ${name}}
spec:
  source: {host: source.internal, database: shop, user: bunny}
  destination: {host: copy.internal, database: shop, user: bunny}
${more}  tables:
${tables.map((table) => `    - source: public.${table}\n`).join('')}`;
}

export function temporaryFolder(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'bunnydb-directory-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  return root;
}

export class Folder {
  readonly dir: string;
  readonly clock: Clock;
  readonly reader: DirectoryReader;
  #nowMs = 1_000_000;
  known: KnownMirrors = new Map();
  last: Decision = { known: new Map(), rejected: new Map(), againMs: undefined };

  constructor(dir: string) {
    this.dir = dir;
    this.clock = {
      now: () => new Date(),
      monotonicMs: () => this.#nowMs,
      sleep: async (ms) => void (this.#nowMs += ms),
    };
    const { signal } = new AbortController();
    this.reader = new DirectoryReader(dir, { clock: this.clock, signal });
  }

  /** A folder of its own with these files. */
  static with(t: TestContext, files: Readonly<Record<string, string>>): Folder {
    const dir = join(temporaryFolder(t), 'mirrors.d');
    mkdirSync(dir);
    const folder = new Folder(dir);
    for (const [name, text] of Object.entries(files)) folder.write(name, text);
    return folder;
  }

  write(name: string, text: string | Uint8Array): void {
    writeFileSync(join(this.dir, name), text);
  }

  remove(name: string): void {
    rmSync(join(this.dir, name), { recursive: true });
  }

  /** Looks after so many milliseconds, and takes what that means. */
  async look(afterMs = 0): Promise<Decision> {
    this.#nowMs += afterMs;
    return this.take((await this.reader.look()).look);
  }

  take(look: Look, afterMs = 0): Decision {
    this.#nowMs += afterMs;
    const moment = { dir: this.dir, nowMs: this.#nowMs, graceMs: GRACE_MS };
    this.last = decideIntents(this.known, look, moment);
    this.known = this.last.known;
    return this.last;
  }

  /** `shop present [users orders] -[orders] Unsettled`: presence, tables, those that leave, problems. Lost: missing, and no grace runs. */
  sketch(): string[] {
    return [...this.known.values()].map((known) => {
      const { mirror, leaving, presence, problems } = intentOf(known);
      const names = (tables: readonly { name: string }[]): string =>
        tables.map(({ name }) => name).join(' ');
      return [
        mirror.name,
        presence.kind === 'missing' && !presence.isGraceRunning ? 'lost' : presence.kind,
        `[${names(mirror.tables.map(({ source }) => source))}]`,
        ...(leaving.length === 0 ? [] : [`-[${names(leaving)}]`]),
        ...new Set(problems.map(({ reason }) => reason)),
      ].join(' ');
    });
  }

  /** What the presence of a mirror says beside its kind. */
  why(name: string): string {
    const presence = this.known.get(name)?.presence;
    return presence?.kind === 'missing' ? presence.message : '';
  }

  /** Every table of every mirror as `mirror source>destination`. */
  rows(): string[] {
    return [...this.known.values()].flatMap((known) => {
      const { mirror } = intentOf(known);
      return mirror.tables.map(
        ({ source, destination }) =>
          `${mirror.name} ${formatTableName(source)}>${formatTableName(destination)}`,
      );
    });
  }
}
