/** The options of a mitm that are about handlers of MSW. */
import { invalidOption } from '../options.ts'
import { problemWithCors } from '../rules/cors.ts'
import type { CorsOptions } from '../rules/cors.ts'
import type { MswHandler } from './handlers.ts'

/** The options of a mitm that are about handlers of MSW. */
export interface HandlerOptions {
  /** Handlers of MSW that are there from the beginning; `resetHandlers()` goes back to them. @defaultValue `[]` */
  handlers?: readonly MswHandler[] | undefined
  /** What relative paths of handlers mean where a request does not tell its page: an absolute URL. @defaultValue nothing */
  baseURL?: string | undefined
  /** How answers of handlers are shared with pages of other origins; `false`: not at all. @defaultValue as browsers need it */
  handlerCors?: CorsOptions | false | undefined
}

/** Checks them, but for the handlers themselves. @throws {@link MitmError} `MITM_INVALID_OPTION` */
export function demandHandlerOptions({ handlers, baseURL, handlerCors }: HandlerOptions): void {
  if (handlers !== undefined && !Array.isArray(handlers)) {
    throw invalidOption('handlers', handlers, 'an array of handlers of MSW')
  }
  if (baseURL !== undefined && !(typeof baseURL === 'string' && URL.canParse(baseURL))) {
    throw invalidOption('baseURL', baseURL, 'an absolute URL such as "http://localhost:3000"')
  }
  const problem = handlerCors === undefined ? undefined : problemWithCors(handlerCors)
  if (problem) throw invalidOption('handlerCors', handlerCors, 'false or the options of cors()', problem)
}
