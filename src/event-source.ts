/**
 * `import 'playwright-mitm/event-source'` gives Node the `EventSource` that `sse()` of MSW asks for when a handler is made: that
 * of undici. To be imported before the module with the handlers. Where there is one already, it does nothing.
 */
import { EventSource } from 'undici'

if (!('EventSource' in globalThis)) Reflect.set(globalThis, 'EventSource', EventSource)
