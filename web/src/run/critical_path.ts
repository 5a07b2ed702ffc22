/** The critical path: at each moment, the deepest span that the end of the run was waiting for. */

import type { Range } from "./cut_axis";
import type { Skeleton } from "./skeleton";

/** A part of a span that is on the path, in microseconds since the run's origin. */
export interface PathPart {
  span: number;
  from: number;
  to: number;
}

/**
 * Walk back from the end of the root that ended last, of those that start `within` a part of the
 * time: a root whose clock is wrong is not what the run waited for. From a moment within a span,
 * the path goes into the child that ended last before it, and on from where that child started;
 * what no child covers belongs to the span itself.
 */
export function criticalPath(run: Skeleton, within: Range): PathPart[] {
  const children = childrenByFinish(run);
  const parts: PathPart[] = [];
  let root = -1;
  let rootIsWithin = false;
  for (let i = 0; i < run.total; i += run.size[i]!) {
    if (Number.isNaN(run.finish[i]!)) continue;
    const isWithin = run.start[i]! >= within.from && run.start[i]! <= within.to;
    if (rootIsWithin && !isWithin) continue;
    if (root < 0 || isWithin !== rootIsWithin || run.finish[i]! > run.finish[root]!) root = i;
    rootIsWithin = isWithin;
  }
  if (root < 0) return parts;
  // A stack of its own: a run may be nested deeper than calls may be.
  const stack: { span: number; until: number; child: number }[] = [
    { span: root, until: run.finish[root]!, child: 0 },
  ];
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const below = children.get(top.span) ?? [];
    const start = run.start[top.span]!;
    let next = -1;
    while (top.child < below.length) {
      const child = below[top.child++]!;
      if (run.finish[child]! <= top.until && run.finish[child]! > start) {
        next = child;
        break;
      }
    }
    const from = next < 0 ? start : run.finish[next]!;
    if (top.until > from) parts.push({ span: top.span, from, to: top.until });
    if (next < 0) {
      stack.pop();
      continue;
    }
    top.until = Math.max(start, run.start[next]!);
    stack.push({ span: next, until: run.finish[next]!, child: 0 });
  }
  return parts;
}

function childrenByFinish(run: Skeleton): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (let i = 0; i < run.total; i++) {
    const above = run.parent[i]!;
    if (above < 0 || Number.isNaN(run.finish[i]!)) continue;
    const siblings = children.get(above);
    if (siblings) siblings.push(i);
    else children.set(above, [i]);
  }
  for (const siblings of children.values()) {
    siblings.sort((a, b) => run.finish[b]! - run.finish[a]!);
  }
  return children;
}
