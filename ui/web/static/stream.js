// Hears from mailcote, for all tabs of a browser over one connection: a
// browser allows six to a host. As a shared worker it keeps the stream and
// tells every tab. A browser without shared workers runs it in each tab.
'use strict';

// listen makes a stream that is not open yet. tell hears {progress} of every
// event, and {lost: true} when nobody answers; then it is tried again.
const listen = (url, tell) => {
  const patience = 25000, pause = 1000;
  let source = null, timer = 0;
  const close = () => {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  };
  const fail = () => {
    close();
    timer = setTimeout(open, pause);
    tell({lost: true});
  };
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(fail, patience);
  };
  const open = () => {
    if (source) return;
    source = new EventSource(url);
    alive();
    source.onmessage = event => {
      alive();
      tell({progress: JSON.parse(event.data)});
    };
    source.addEventListener('beat', alive);
    source.onerror = fail;
  };
  return {open, close, isOpen: () => source !== null};
};

if ('onconnect' in self) {
  const tabs = new Map(); // port → whether somebody looks at the tab
  let last = null;
  const stream = listen(new URL('../events', self.location), message => {
    last = message;
    for (const port of tabs.keys()) port.postMessage(message);
  });
  // The stream is open while somebody looks at any tab.
  const settle = () => {
    if ([...tabs.values()].some(Boolean)) return stream.open();
    last = null;
    stream.close();
  };
  self.onconnect = event => {
    const port = event.ports[0];
    port.onmessage = message => {
      if (message.data === 'bye') tabs.delete(port);
      else tabs.set(port, message.data === 'seen');
      settle();
    };
    tabs.set(port, true);
    // Its page may be older than the last event.
    if (last) port.postMessage(last.progress ? {progress: {...last.progress, mail: true}} : last);
    settle();
  };
}
