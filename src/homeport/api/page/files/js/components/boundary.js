/**
 * A part of the page that may fail alone: what cannot be drawn is replaced, and the rest of the page stays.
 */
import {Component} from "../html.js";

/** `children`: the part. @extends {Component<{fallback: any}>} `fallback`: what is shown once the part has failed */
export class Boundary extends Component {
  static getDerivedStateFromError() {
    return {hasFailed: true};
  }

  componentDidCatch(error) {
    reportError(error); // as the browser reports what nobody catches
  }

  render({fallback, children}, {hasFailed}) {
    return hasFailed ? fallback : children;
  }
}
