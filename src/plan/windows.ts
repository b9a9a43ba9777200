import { DateTime } from 'luxon';
import type { MaintenanceWindow } from '../core/mirror.ts';

/** Windows come back each week; whatever is open or opens next is this near. */
const DAYS_AROUND = 8;

/** When the next window opens, ISO 8601 in UTC; undefined while one is open, or when there is none to wait for. */
export function nextOpening(windows: readonly MaintenanceWindow[], at: Date): string | undefined {
  const openings = windows.flatMap((window) =>
    openingsAround(window, at).map((opens) => ({
      opens: opens.toJSDate(),
      closes: opens.plus({ minutes: window.durationMinutes }).toJSDate(),
    })),
  );
  if (openings.some(({ opens, closes }) => opens <= at && at < closes)) return undefined;
  const ahead = openings.map(({ opens }) => opens.getTime()).filter((ms) => ms > at.getTime());
  return ahead.length === 0 ? undefined : new Date(Math.min(...ahead)).toISOString();
}

/** Wall-clock times: where the clock is put forward over one, it opens as much later; put back, at the first of the two. */
function openingsAround({ days, start, timeZone }: MaintenanceWindow, at: Date): DateTime[] {
  const today = DateTime.fromJSDate(at, { zone: timeZone }).startOf('day');
  const [hour, minute] = start.split(':').map(Number);
  const offsets = Array.from({ length: 2 * DAYS_AROUND + 1 }, (_, index) => index - DAYS_AROUND);
  return (
    offsets
      .map((offset) => today.plus({ days: offset }))
      // By the day that is meant: a clock that is put forward may push the opening past its end.
      .filter((date) => days.some((day) => day === date.setLocale('en').weekdayShort))
      .map((date) => date.set({ hour: hour ?? 0, minute: minute ?? 0 }))
  );
}
