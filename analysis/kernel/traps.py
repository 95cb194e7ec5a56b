"""Functions of nt with a known place on a stack."""

# Traps, faults, interrupts and system services: their prologue builds the KTRAP_FRAME and keeps rsp at its start.
TRAP_FUNCTIONS = frozenset({
    "KiPageFault", "KiPageFaultShadow", "KiGeneralProtectionFault", "KiDivideErrorFault", "KiInvalidOpcodeFault",
    "KiBreakpointTrap", "KiDebugTrapOrFault", "KiOverflowTrap", "KiBoundFault", "KiNpxNotAvailableFault",
    "KiStackFault", "KiAlignmentFault", "KiFloatingErrorFault", "KiXmmException", "KiSegmentNotPresentFault",
    "KiInvalidTssFault", "KiNmiInterrupt", "KiNmiInterruptStart", "KiDoubleFaultAbort", "KiRaiseSecurityCheckFailure",
    "KiRaiseAssertion", "KiDebugServiceTrap", "KiVirtualizationException", "KxMcheckAbort", "KiMcheckAbort",
    "KiInterruptDispatch", "KiInterruptDispatchNoLock", "KiInterruptDispatchNoLockNoEtw", "KiInterruptDispatchNoEOI",
    "KiChainedDispatch", "KiIpiInterrupt", "KiDpcInterrupt", "KiApcInterrupt", "KiHvInterrupt", "KiVmbusInterrupt0",
    "KiSystemServiceCopyEnd", "KiSystemServiceExit", "KiSystemServiceExitPico", "KiSystemServiceStart",
    "KiSystemServiceRepeat", "KiSystemServiceCopyStart", "KiSystemServiceGdiTebAccess", "KiServiceInternal",
})  # fmt: skip

# The first function of a kernel-mode thread: nothing lies beneath it.
THREAD_STARTS = frozenset({"KiStartSystemThread", "KxStartSystemThread"})
