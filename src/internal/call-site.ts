/** Where in the user's own code something was made. */
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** This package, built or as sources: a stack may have been mapped back to those. Its tests are users as well. */
const OWN = ['', '../'].flatMap((above) =>
  ['src', 'fixtures', 'matchers'].map((folder) => fileURLToPath(new URL(`../../${above}${folder}/`, import.meta.url))),
)
const MAX_FRAMES = 40

/**
 * Notes the stack of its caller. What is returned finds the first frame outside this package and Node: `file:line`,
 * relative to the working directory where it is below that; undefined when there is none. It is found when it is asked
 * for, since it takes longer than the noting.
 */
export function noteCallSite(): () => string | undefined {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = MAX_FRAMES
  const here = new Error('call site')
  Error.stackTraceLimit = stackTraceLimit
  return () => findCallSite(here.stack ?? '')
}

function findCallSite(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const [, place, lineNumber] = /(?:\(|at (?:async )?)((?:file:\/\/)?[^()]+?):(\d+):\d+\)?$/.exec(line.trim()) ?? []
    if (place === undefined || place.startsWith('node:')) continue
    const file = place.startsWith('file:') ? fileURLToPath(place) : place
    if (OWN.some((folder) => file.startsWith(folder)) && !/\.(?:test|spec)\.[cm]?[jt]s$/.test(file)) continue
    return nearText(file, lineNumber)
  }
  return undefined
}

/** `file:line` of a frame of a stack, as {@link noteCallSite} tells it; undefined when it is none. */
export function placeText(frame: string): string | undefined {
  const text = frame.trim().replace(/^at (?:async )?/, '')
  const inner = /\(([^()]+)\)$/.exec(text)?.[1] ?? text
  const [, place, lineNumber] = /^(.+?):(\d+)(?::\d+)?$/.exec(inner) ?? []
  if (place === undefined) return undefined
  return nearText(place.startsWith('file:') ? fileURLToPath(place) : place, lineNumber)
}

function nearText(file: string, lineNumber: string | undefined): string {
  const near = relative(process.cwd(), file)
  return `${near.startsWith('..') ? file : near}:${lineNumber}`
}
