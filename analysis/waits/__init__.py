"""Who waits for whom: the graph, its deadlocks, and the pile-ups behind each root."""

from analysis.waits.chains import Pileup
from analysis.waits.deadlock import Cycle
from analysis.waits.find import Blocked, ChainLock, WaitAnalysis, analyze_waits, find_waits

__all__ = ["Blocked", "ChainLock", "Cycle", "Pileup", "WaitAnalysis", "analyze_waits", "find_waits"]
