/** One line when something goes wrong, one when it is right again, and silence in between. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { systemClock } from '../../src/core/clock.ts';
import { type ErrorCode, MirrorError } from '../../src/core/errors.ts';
import { Failures } from '../../src/daemon/mirror/failures.ts';
import { TroubleLog } from '../../src/daemon/trouble-log.ts';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly table?: string;
  readonly code?: string;
  readonly err?: unknown;
}

class Stage {
  readonly failures = new Failures(systemClock);
  readonly #lines: Line[] = [];
  readonly troubles = new TroubleLog(
    pino(
      { level: 'debug' },
      { write: (line: string) => void this.#lines.push(JSON.parse(line) as Line) },
    ),
  );

  fail(key: string, code: ErrorCode, message: string): void {
    this.failures.add(key, new MirrorError(code, message));
    this.troubles.tell(this.failures);
  }

  /** What was written since the last call, from info up. */
  take(): string[] {
    return this.#lines
      .splice(0)
      .filter(({ level }) => level >= 30)
      .map(({ level, msg, table, code }) =>
        [level >= 40 ? 'warn' : 'info', msg, table, code]
          .filter((part) => part !== undefined)
          .join(' '),
      );
  }

  takeAll(): Line[] {
    return this.#lines.splice(0);
  }
}

const nothingIsOpen = (): boolean => false;

test('a server that goes down is told once, in whatever words it goes, and once when it is back', () => {
  const stage = new Stage();
  stage.fail('', 'ConnectionFailed', 'connection lost: terminating connection');
  assert.deepEqual(stage.take(), ['warn pass failed ConnectionFailed']);
  for (const words of [
    'connect ECONNREFUSED',
    'connect ECONNREFUSED',
    'the database system is starting up',
  ])
    stage.fail('', 'ConnectionFailed', words);
  stage.troubles.tell(stage.failures, nothingIsOpen);
  assert.deepEqual(stage.take(), []);
  stage.failures.clear('');
  stage.troubles.tell(stage.failures, nothingIsOpen);
  stage.troubles.tell(stage.failures, nothingIsOpen);
  assert.deepEqual(stage.take(), ['info recovered']);
});

test('another code is news, and so are other words of one that says always the same', () => {
  const stage = new Stage();
  stage.fail('public.a', 'PermissionDenied', 'permission denied for schema one');
  stage.fail('public.a', 'PermissionDenied', 'permission denied for schema one');
  stage.fail('public.a', 'PermissionDenied', 'permission denied for schema two');
  stage.fail('public.a', 'LockTimeout', 'pid 1 is in the way');
  stage.fail('public.a', 'LockTimeout', 'pid 2 is in the way');
  stage.fail('public.b', 'LockTimeout', 'pid 2 is in the way');
  assert.deepEqual(stage.take(), [
    'warn table failed public.a PermissionDenied',
    'warn table failed public.a PermissionDenied',
    'warn table failed public.a LockTimeout',
    'warn table failed public.b LockTimeout',
  ]);
});

test('what is tried again because somebody asked has not recovered yet', () => {
  const stage = new Stage();
  stage.fail('public.a', 'DiskFull', 'no space');
  stage.take();
  stage.failures.clear('public.a');
  stage.troubles.tell(stage.failures, (key) => key === 'public.a');
  assert.deepEqual(stage.take(), []);
  stage.fail('public.a', 'DiskFull', 'no space');
  assert.deepEqual(stage.take(), []);
  stage.failures.clear('public.a');
  stage.troubles.tell(stage.failures, nothingIsOpen);
  assert.deepEqual(stage.take(), ['info recovered public.a']);
});

test('an error that nobody knows is told with its cause; a known one in one line without a stack', () => {
  const stage = new Stage();
  stage.fail('', 'Unexpected', 'what is this');
  stage.fail('public.a', 'DiskFull', 'no space');
  const [unknown, known] = stage.takeAll();
  assert.notEqual(unknown?.err, undefined);
  assert.equal(known?.err, undefined);
});

test('what another daemon tells of is forgotten', () => {
  const stage = new Stage();
  stage.fail('', 'ConnectionFailed', 'no answer');
  stage.failures.clear('');
  stage.troubles.forget();
  stage.take();
  stage.troubles.tell(stage.failures, nothingIsOpen);
  assert.deepEqual(stage.take(), []);
});

test('a status file that cannot be written is told once, and once when it can', () => {
  const stage = new Stage();
  const line = 'the status file cannot be written';
  stage.troubles.tellOf(line, undefined);
  for (let second = 0; second < 3; second += 1) stage.troubles.tellOf(line, new Error('EROFS'));
  assert.deepEqual(stage.take(), [`warn ${line}`]);
  stage.troubles.tellOf(line, undefined);
  stage.troubles.tellOf(line, undefined);
  assert.deepEqual(stage.take(), ['info recovered']);
});
