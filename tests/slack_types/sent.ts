import type { HomeView, KnownBlock, ModalView } from "@slack/types";

// The package lets a view hold blocks of any kind; we hold them to those that it knows.
interface Modal extends Omit<ModalView, "blocks"> {
  blocks: KnownBlock[];
}

interface Home extends Omit<HomeView, "blocks"> {
  blocks: KnownBlock[];
}

export interface Sent {
  block: KnownBlock;
  modal: Modal;
  home: Home;
}
