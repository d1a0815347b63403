/** Which messages of a WebSocket a fault is for: the options that faults of messages have in common. */
import type { Side } from '../errors.ts'
import type { Fault, MessageChange, MessageOnItsWay } from '../fault.ts'
import { numberIn, optional, sideName, wholeNumber } from './check.ts'
import type { OptionCheck } from './check.ts'

/** Where on a WebSocket something goes wrong. */
export interface SocketPlace {
  /** How many messages pass to that side before. @defaultValue 0: it goes wrong at once */
  afterMessages?: number | undefined
  /** Towards whom: `'client'` means messages of the server, `'server'` those of the client. @defaultValue `'client'` */
  side?: Side | undefined
}

/** Which messages are meant. */
export interface MessageChoice extends SocketPlace {
  /** How many messages it is done to. @defaultValue all */
  count?: number | undefined
  /** Leaves each message to chance, from 0 to 1; the seed of the mitm decides. @defaultValue 1 */
  probability?: number | undefined
}

/** The checks of {@link SocketPlace}. */
export const PLACE_CHECKS: { readonly [Key in keyof Required<SocketPlace>]: OptionCheck } = {
  afterMessages: optional(wholeNumber(0)),
  side: optional(sideName),
}

/** The checks of {@link MessageChoice}. */
export const CHOICE_CHECKS: { readonly [Key in keyof Required<MessageChoice>]: OptionCheck } = {
  ...PLACE_CHECKS,
  count: optional(wholeNumber(1)),
  probability: optional(numberIn(0, 1)),
}

/** ` after 2 messages, towards the server`. */
export function placeText({ afterMessages = 0, side = 'client' }: SocketPlace): string {
  const after = afterMessages > 0 ? ` after ${afterMessages} ${afterMessages === 1 ? 'message' : 'messages'}` : ''
  return `${after}${side === 'server' ? ', towards the server' : ''}`
}

/** What becomes of messages; it keeps the state. */
export interface ChosenChange {
  /** What goes on in place of one that was chosen, or that it is held. */
  readonly one: (message: MessageOnItsWay) => readonly MessageOnItsWay[] | 'held'
  /** Asked first, of each message, chosen or not; undefined leaves it to the choice. */
  readonly before?: (message: MessageOnItsWay) => readonly MessageOnItsWay[] | undefined
  /** Gives back what is held. */
  readonly end?: () => readonly MessageOnItsWay[]
}

/**
 * Makes a fault of a change of messages.
 *
 * @param name - The function that makes it, whose options were checked.
 * @param detail - What is said behind the name.
 * @param open - Makes the change.
 */
export function messageFault(
  name: string,
  detail: string,
  choice: MessageChoice,
  open: (random: () => number) => ChosenChange,
): Fault {
  const { afterMessages = 0, side = 'client', count = Number.POSITIVE_INFINITY, probability = 1 } = choice
  const often = [
    Number.isFinite(count) && `${count} ${count === 1 ? 'message' : 'messages'}`,
    probability < 1 && `with probability ${probability}`,
  ].filter(Boolean)
  return {
    name,
    text: `${name}${detail}${often.length > 0 ? `, ${often.join(' ')}` : ''}${placeText(choice)}`,
    isForWebSockets: true,
    parts: [
      {
        stage: 'webSocket',
        side,
        afterMessages,
        action: {
          kind: 'change',
          open(random): MessageChange {
            const { one, before, end } = open(random)
            let left = count
            return {
              take(message, acted) {
                const followed = before?.(message)
                if (followed) return followed
                if (left === 0 || (probability < 1 && random() >= probability)) return [message]
                left--
                acted()
                return one(message)
              },
              ...(end && { end }),
            }
          },
        },
      },
    ],
  }
}
