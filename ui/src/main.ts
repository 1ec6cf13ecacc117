/** The entry of the pages. */

import { mount } from "svelte";

import App from "./App.svelte";
import "./look.css";

const target = document.getElementById("app");
if (!target) throw new Error("index.html has no element for the app");

export default mount(App, { target });
