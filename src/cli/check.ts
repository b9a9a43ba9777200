import { classify, MirrorError } from '../core/errors.ts';
import type { Connection, Mirror } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { observe } from '../observe/observe.ts';
import { lookAtDestination, lookAtSource } from '../observe/sides.ts';
import type { Answer } from '../plan/check/check-look.ts';
import { checkMirror } from '../plan/check/checks.ts';
import type { Check } from '../plan/check/finding.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import { checkJson, checkText, type CheckedMirror } from './check-text.ts';
import { EXIT } from './exit-codes.ts';
import { unpainted, type Output } from './output.ts';
import { findMirrors } from './select-mirrors.ts';

export interface CheckOptions {
  readonly dir: string;
  readonly output: 'text' | 'json';
}

/**
 * `bunnydb check [NAME]`: whether everything is there that `run` needs, and how to get what is not. Looks only.
 * Exit codes: done (warnings allowed), failed, invalid files.
 */
export async function check(
  name: string | undefined,
  { dir, output }: CheckOptions,
  out: Output,
): Promise<number> {
  const found = await findMirrors(dir, name, out);
  if (found === undefined) return EXIT.invalidFiles;
  const checked: CheckedMirror[] = [];
  for (const mirror of found.mirrors) checked.push({ mirror, checks: await checkOne(mirror) });
  out.print(output === 'json' ? checkJson(checked) : checkText(checked, out.paint ?? unpainted));
  for (const error of found.errors) out.error(`${describeDiagnostic(error)}\n`);
  if (found.errors.length > 0) return EXIT.invalidFiles;
  const isFine = checked.every(({ checks }) => checks.every(({ result }) => result !== 'fail'));
  return isFine ? EXIT.done : EXIT.failed;
}

async function checkOne(mirror: Mirror): Promise<readonly Check[]> {
  const [source, destination] = await Promise.all([
    connect(mirror, mirror.source),
    connect(mirror, mirror.destination),
  ]);
  try {
    const looks = {
      source: await ask(source, async (session) => lookAtSource(mirror, session)),
      destination: await ask(destination, async (session) => lookAtDestination(mirror, session)),
    };
    return checkMirror(mirror, { ...looks, observed: await both(mirror, source, destination) });
  } finally {
    for (const side of [source, destination])
      if (!(side instanceof MirrorError)) await side.close();
  }
}

async function connect(mirror: Mirror, connection: Connection): Promise<Session | MirrorError> {
  const options = { mirror: mirror.name, role: 'observer', readOnly: true } as const;
  return openSession(connection, options).catch((thrown: unknown) => classify(thrown));
}

async function both(
  mirror: Mirror,
  source: Session | MirrorError,
  destination: Session | MirrorError,
): Promise<Observed | MirrorError | undefined> {
  if (source instanceof MirrorError || destination instanceof MirrorError) return undefined;
  return observe(mirror, { source, destination }).catch((thrown: unknown) => classify(thrown));
}

async function ask<Facts>(
  session: Session | MirrorError,
  look: (session: Session) => Promise<Facts>,
): Promise<Answer<Facts>> {
  if (session instanceof MirrorError) return { is: 'unreachable', error: session };
  try {
    return { is: 'there', facts: await look(session) };
  } catch (thrown) {
    return { is: 'unreadable', error: classify(thrown) };
  }
}
