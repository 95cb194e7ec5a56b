"""Offsets of Windows kernel structures (x64), one column per major build.

Source: the public ntkrnlmp.pdb of one update of each major: 7601.24540, 9600.20369, 14393.5006, 17763.2928,
18362.592, 19041.1288, 20348.887, 22000.318. A head line is ``NAME size…``; a member line is ``name type offset…``;
one column stands for all eight, ``-`` for absent, ``off:bit+len`` is a bit field. All numbers are hex but bit and len.
"""

MAJORS = (7601, 9600, 14393, 17763, 18362, 19041, 20348, 22000)

STRUCTURES = """
_ERESOURCE 68 68 68 68 68 68 68 68
  SystemResourcesList _LIST_ENTRY 0
  OwnerTable *_OWNER_ENTRY 10
  ActiveCount u16 18
  Flag u16 1a
  SharedWaiters * 20
  ExclusiveWaiters * 28
  OwnerEntry _OWNER_ENTRY 30
  ActiveEntries u32 40
  ContentionCount u32 44
  NumberOfSharedWaiters u32 48
  NumberOfExclusiveWaiters u32 4c
  Reserved2 * 50
  Address * 58
  SpinLock u64 60

_OWNER_ENTRY 10 10 10 10 10 10 10 10
  OwnerThread u64 0
  TableSize u32 8
  IoPriorityBoosted bits 8:0+1
  OwnerReferenced bits 8:1+1
  IoQoSPriorityBoosted bits - - 8:2+1 8:2+1 8:2+1 8:2+1 8:2+1 8:2+1
  OwnerCount bits 8:2+30 8:2+30 8:3+29 8:3+29 8:3+29 8:3+29 8:3+29 8:3+29

_KWAIT_CHAIN_ENTRY - - 20 30 30 30 30 30
  ListEntry _LIST_ENTRY - - 0 0 0 0 0 0
  Thread *_KTHREAD - - - 10 10 10 10 10
  Event _KEVENT - - 8 18 18 18 18 18

_FAST_ERESOURCE_INTERNAL - - - 68 68 68 68 68
  SystemResourcesList _LIST_ENTRY - - - 0 0 0 0 0
  Flag u16 - - - 1a 1a 1a 1a 1a
  SharedWaiters _KWAIT_CHAIN - - - 20 20 20 20 20
  ExclusiveWaiters _KWAIT_CHAIN - - - 28 28 28 28 28
  OwnerEntryListHead _LIST_ENTRY - - - 30 30 30 30 30
  NumberOfSharedWaiters u32 - - - 48 48 48 48 48
  NumberOfExclusiveWaiters u32 - - - 4c 4c 4c 4c 4c

_FAST_OWNER_ENTRY_INTERNAL - - - 48 48 48 48 48
  ListEntry _LIST_ENTRY - - - 0 0 0 0 0
  CallerExclusive bits - - - 11:2+1 11:2+1 11:2+1 11:2+1 11:2+1
  IsWaiting u8 - - - 13 13 13 13 13
  LockAddress * - - - 18 18 18 18 18
  ThreadAddress * - - - 20 20 20 20 20

_KTHREAD 368 5d0 5e0 5f0 600 430 480 480
  NextProcessor u32 7c 218 218 218 218 218 218 218
  QueueListEntry _LIST_ENTRY 1c8 208 208 208 208 208 208 208
  Header _DISPATCHER_HEADER 0
  InitialStack * 28
  StackLimit * 30
  StackBase * 278 38 38 38 38 38 38 38
  KernelStack * 38 58 58 58 58 58 58 58
  MiscFlags u32 4c 74 74 74 74 74 74 74
  ThreadFlags u32 100 78 78 78 78 78 78 78
  KernelStackResident bits 4c:0+1 78:16+1 78:16+1 78:17+1 78:17+1 78:17+1 78:17+1 78:17+1
  SystemThread bits 4c:13+1 74:11+1 74:10+1 74:10+1 74:10+1 74:10+1 74:10+1 74:10+1
  TrapFrame *_KTRAP_FRAME 1d8 90 90 90 90 90 90 90
  ApcState _KAPC_STATE 50 98 98 98 98 98 98 98
  ApcState.Process *_KPROCESS 70 b8 b8 b8 b8 b8 b8 b8
  Priority u8 7b c3 c3 c3 c3 c3 c3 c3
  WaitStatus u64 90 c8 c8 c8 c8 c8 c8 c8
  WaitBlockList *_KWAIT_BLOCK 98 d0 d0 d0 d0 d0 d0 d0
  Queue *_DISPATCHER_HEADER b0 e8 e8 e8 e8 e8 e8 e8
  Teb * b8 f0 f0 f0 f0 f0 f0 f0
  Timer _KTIMER c0 100 100 100 100 100 100 100
  WaitBlock _KWAIT_BLOCK[4] 108 140 140 140 140 140 140 140
  ContextSwitches u32 134 154 154 154 154 154 154 154
  State u8 164 184 184 184 184 184 184 184
  WaitIrql u8 166 186 186 186 186 186 186 186
  WaitMode u8 167 187 187 187 187 187 187 187
  WaitTime u32 194 1b4 1b4 1b4 1b4 1b4 1b4 1b4
  KernelApcDisable u16 1c4 1e4 1e4 1e4 1e4 1e4 1e4 1e4
  Process *_KPROCESS 210 220 220 220 220 220 220 220
  PreviousMode u8 1f6 232 232 232 232 232 232 232
  WaitBlockCount u8 - 243 24b 24b 24b 24b 24b 24b
  WaitReason u8 26b 283 283 283 283 283 283 283
  ThreadListEntry _LIST_ENTRY 2f8
  MutantListHead _LIST_ENTRY 308
  BasePriority u8 1f1 233 233 233 233 233 233 233
  SuspendEvent _KEVENT - 2e0 2e0 2e0 2e0 2e0 2e0 2e0
  LockEntries *_KLOCK_ENTRY - 320 320 320 320 320 320 -
  AbWaitObject * - - - - 5f8 3d0 3d0 3d0

_ETHREAD 4a8 778 7e0 810 820 898 8f0 8f0
  CreateTime _LARGE_INTEGER 368 5d0 5e0 5f0 600 430 480 480
  ExitTime _LARGE_INTEGER 370 5d8 5e8 5f8 608 438 488 488
  StartAddress * 390 5f8 608 610 620 450 4a0 4a0
  Cid _CLIENT_ID 3b8 620 630 638 648 478 4c8 4c8
  Cid.UniqueThread * 3c0 628 638 640 650 480 4d0 4d0
  IrpList _LIST_ENTRY 3f0 658 668 670 680 4b0 500 500
  Win32StartAddress * 418 678 688 690 6a0 4d0 520 520
  ThreadListEntry _LIST_ENTRY 428 688 698 6a8 6b8 4e8 538 538
  CrossThreadFlags u32 450 6b4 6c0 6d0 6e0 510 560 560
  ActiveExWorker bits 454:0+1 6b8:0+1 6c4:0+1 6d4:0+1 6e4:0+1 514:0+1 564:0+1 564:0+1
  SameThreadPassiveFlags u32 454 6b8 6c4 6d4 6e4 514 564 564
  AlpcWaitSemaphore _KSEMAPHORE 3c8 630 640 648 658 488 4d8 4d8
  AlpcMessage * 468 6d0 6d8 6e8 6f8 530 580 580
  ThreadName *_UNICODE_STRING - - 7c8 7d0 7e0 610 660 660
  OwnerEntryListHead _LIST_ENTRY - - - 7e8 7f8 628 678 678
  LockEntries _KLOCK_ENTRY[6] - - - - - 650 6a0 6a0

_KWAIT_BLOCK 30 30 30 30 30 30 30 30
  WaitListEntry _LIST_ENTRY 0
  Thread *_KTHREAD 10 18 18 18 18 18 18 18
  Object * 18 20 20 20 20 20 20 20
  NextWaitBlock *_KWAIT_BLOCK 20 - - - - - - -
  WaitKey u16 28 12 12 12 12 12 12 12
  WaitType u8 2a 10 10 10 10 10 10 10
  BlockState u8 2b 11 11 11 11 11 11 11
  SparePtr * - 28 28 28 28 28 28 28

_DISPATCHER_HEADER 18 18 18 18 18 18 18 18
  Type u8 0
  Size u8 2
  SignalState u32 4
  WaitListHead _LIST_ENTRY 8

_KMUTANT 38 38 38 38 38 38 38 38
  Header _DISPATCHER_HEADER 0
  MutantListEntry _LIST_ENTRY 18
  OwnerThread *_KTHREAD 28
  Abandoned bits 30 30 30 30 30:0+1 30:0+1 30:0+1 30:0+1
  MutantFlags u8 - - - - 30 30 30 30
  ApcDisable u8 31

_FAST_MUTEX 38 38 38 38 38 38 38 38
  Count u32 0
  Owner * 8
  Contention u32 10
  Event _KEVENT 18
  OldIrql u32 30

_KGUARDED_MUTEX 38 - - - - - - -
  Count u32 0 - - - - - - -
  Owner *_KTHREAD 8 - - - - - - -
  Contention u32 10 - - - - - - -
  Gate _KGATE 18 - - - - - - -

_EX_PUSH_LOCK 8 8 8 8 8 8 8 8
  Value u64 0

_KTIMER 40 40 40 40 40 40 40 40
  Header _DISPATCHER_HEADER 0
  DueTime _ULARGE_INTEGER 18
  TimerListEntry _LIST_ENTRY 20
  Dpc *_KDPC 30
  Period u32 3c

_KDPC 40 40 40 40 40 40 40 40
  TargetInfoAsUlong u32 - 0 0 0 0 0 0 0
  Type u8 0
  DpcListEntry _SINGLE_LIST_ENTRY 8
  DeferredRoutine * 18
  DeferredContext * 20
  SystemArgument1 * 28
  DpcData * 38

_KDPC_DATA 20 28 28 28 28 28 30 30
  DpcListHead _LIST_ENTRY 0 - - - - - - -
  DpcList _KDPC_LIST - 0 0 0 0 0 0 0
  DpcQueueDepth u32 18
  DpcCount u32 1c
  ActiveDpc *_KDPC - 20 20 20 20 20 20 20

_KPROCESS 160 2c8 2d8 2d8 2e0 438 438 438
  Header _DISPATCHER_HEADER 0
  DirectoryTableBase u64 28
  ThreadListHead _LIST_ENTRY 30
  UserDirectoryTableBase u64 110 270 2c0 278 280 388 388 388
  ProcessListEntry _LIST_ENTRY e0 238 240 240 248 350 350 350

_EPROCESS 4f8 708 7d0 858 880 a40 b80 b80
  ExitStatus u32 444 6fc 62c 624 654 7d4 7d4 7d4
  ExitTime _LARGE_INTEGER 170 640 690 690 6c0 840 840 840
  SectionBaseAddress * 270 3b0 3c0 3c0 3c8 520 520 520
  UniqueProcessId * 180 2e0 2e8 2e0 2e8 440 440 440
  ActiveProcessLinks _LIST_ENTRY 188 2e8 2f0 2e8 2f0 448 448 448
  CreateTime _LARGE_INTEGER 168 2d0 308 308 310 468 468 468
  InheritedFromUniqueProcessId * 290 3d0 3e0 3e0 3e8 540 540 540
  Peb *_PEB 338 3e8 3f8 3f8 3f8 550 550 550
  Session *_MM_SESSION_SPACE 2d8 3f0 400 400 400 558 558 558
  ObjectTable *_HANDLE_TABLE 200 408 418 418 418 570 570 570
  ImageFileName u8[15] 2e0 438 450 450 450 5a8 5a8 5a8
  ThreadListHead _LIST_ENTRY 308 470 488 488 488 5e0 5e0 5e0
  ActiveThreads u32 328 480 498 498 498 5f0 5f0 5f0
  SeAuditProcessCreationInfo _SE_AUDIT_PROCESS_CREATION_INFO 390 450 468 468 468 5c0 5c0 5c0
  VadRoot _RTL_AVL_TREE 448 5d8 620 628 658 7d8 7d8 7d8
  Protection _PS_PROTECTION - 67a 6ca 6ca 6fa 87a 87a 87a

_KPCR 7080 8040 8040 8040 9080 b080 c080 c080
  NtTib _NT_TIB 0
  Self *_KPCR 18
  CurrentPrcb *_KPRCB 20
  IdtBase *_KIDTENTRY64 38
  Irql u8 50
  KdVersionBlock * 108
  Prcb _KPRCB 180

_KPRCB 6f00 7ec0 7ec0 7ec0 8f00 af00 bf00 bf00
  CurrentThread *_KTHREAD 8
  NextThread *_KTHREAD 10
  IdleThread *_KTHREAD 18
  Number u32 24
  ProcessorState _KPROCESSOR_STATE 40 40 40 100 100 100 100 100
  ProcessorState.SpecialRegisters _KSPECIAL_REGISTERS 40 40 40 100 100 100 100 100
  ProcessorState.ContextFrame _CONTEXT 120 120 120 1f0 1f0 1f0 1f0 1f0
  DpcStack * 21c0 2dd0 2dd0 2e50 2e50 3110 33a0 33a0
  DpcData _KDPC_DATA 2180 2d80 2d80 2e00 2e00 30c0 3340 3340
  CurrentDpcRoutine * - - - - - 30a0 3320 3320
  DpcTimeCount u32 4f20 5b20 5b20 5b9c 5b9c 7e9c 815c 815c
  DpcRoutineActive u8 21da 2dea 2dea 2e6a 2e6a 312a 33ba 33ba
  VendorString u8[13] 53b8 6158 62d8 6290 6290 8590 8950 8990
  MHz u32 5f4 5f4 5f4 44 44 44 44 44
  Context *_CONTEXT 53e0 6180 6300 62c0 62c0 85c0 8980 89c0
  IsrStack * - 6198 6318 62d8 62d8 85d8 8998 89d8
  NormalDpcState u16 21dc 2dec 2dec 2e6c 2e6c 312c 33bc 33bc

_KTRAP_FRAME 190 190 190 190 190 190 190 190
  PreviousMode u8 28
  Rax u64 30
  Rcx u64 38
  FaultAddress u64 d0
  TrapFrame u64 138
  Rbx u64 140
  Rdi u64 148
  Rsi u64 150
  Rbp u64 158
  ErrorCode u64 160
  Rip u64 168
  SegCs u16 170
  EFlags u32 178
  Rsp u64 180
  SegSs u16 188

_KEXCEPTION_FRAME 140 140 140 140 140 140 140 140
  Xmm6 _M128A 30
  TrapFrame u64 d0
  Rbp u64 f8
  Rbx u64 100
  Rdi u64 108
  Rsi u64 110
  R12 u64 118
  R15 u64 130
  Return u64 138

_CONTEXT 4d0 4d0 4d0 4d0 4d0 4d0 4d0 4d0
  ContextFlags u32 30
  MxCsr u32 34
  SegCs u16 38
  EFlags u32 44
  Rax u64 78
  Rcx u64 80
  Rdx u64 88
  Rbx u64 90
  Rsp u64 98
  Rbp u64 a0
  Rsi u64 a8
  Rdi u64 b0
  R8 u64 b8
  R9 u64 c0
  R15 u64 f0
  Rip u64 f8

_DEVICE_OBJECT 150 150 150 150 150 150 150 150
  Type u16 0
  Size u16 2
  ReferenceCount u32 4
  DriverObject *_DRIVER_OBJECT 8
  NextDevice *_DEVICE_OBJECT 10
  AttachedDevice *_DEVICE_OBJECT 18
  CurrentIrp *_IRP 20
  Flags u32 30
  DeviceExtension * 40
  DeviceType u32 48
  StackSize u8 4c
  DeviceObjectExtension *_DEVOBJ_EXTENSION 138

_DEVOBJ_EXTENSION 70 60 68 68 68 70 70 70
  DeviceObject *_DEVICE_OBJECT 8
  PowerFlags u32 10
  Dope *_DEVICE_OBJECT_POWER_EXTENSION 18
  ExtensionFlags u32 20
  DeviceNode * 28
  AttachedTo *_DEVICE_OBJECT 30

_DRIVER_OBJECT 150 150 150 150 150 150 150 150
  Type u16 0
  Size u16 2
  DeviceObject *_DEVICE_OBJECT 8
  DriverStart * 18
  DriverSize u32 20
  DriverSection * 28
  DriverExtension *_DRIVER_EXTENSION 30
  DriverName _UNICODE_STRING 38
  MajorFunction *[28] 70

_IRP d0 d0 d0 d0 d0 d0 d0 d0
  Type u16 0
  Size u16 2
  ThreadListEntry _LIST_ENTRY 20
  IoStatus _IO_STATUS_BLOCK 30
  UserEvent *_KEVENT 50
  RequestorMode u8 40
  PendingReturned u8 41
  StackCount u8 42
  CurrentLocation u8 43
  Tail.Overlay.Thread *_ETHREAD 98
  Tail.Overlay.ListEntry _LIST_ENTRY a8
  Tail.Overlay.CurrentStackLocation *_IO_STACK_LOCATION b8

_IO_STACK_LOCATION 48 48 48 48 48 48 48 48
  MajorFunction u8 0
  MinorFunction u8 1
  Flags u8 2
  Control u8 3
  Parameters __unnamed_11ba 8
  DeviceObject *_DEVICE_OBJECT 28
  FileObject *_FILE_OBJECT 30
  CompletionRoutine * 38
  Context * 40

_DEVICE_NODE 268 2c8 2d0 310 310 310 310 310
  Sibling *_DEVICE_NODE 0
  Child *_DEVICE_NODE 8
  Parent *_DEVICE_NODE 10
  LastChild *_DEVICE_NODE 18
  PhysicalDeviceObject *_DEVICE_OBJECT 20
  InstancePath _UNICODE_STRING 28
  ServiceName _UNICODE_STRING 38
  PendingIrp *_IRP 48
  FxDevice *_POP_FX_DEVICE - 50 50 50 50 50 50 50
  State u32 e0 12c 12c 12c 12c 12c 12c 12c
  PreviousState u32 e4 130 130 130 130 130 130 130
  CompletionStatus u32 13c 188 188 188 188 188 188 188
  Flags u32 140 18c 18c 18c 18c 18c 18c 18c
  Problem u32 148 194 194 194 194 194 194 194

_TRIAGE_9F_PNP - - 18 20 20 20 20 20
  Signature u16 - - 0 0 0 0 0 0
  Revision u16 - - 2 2 2 2 2 2
  CompletionQueue *_TRIAGE_PNP_DEVICE_COMPLETION_QUEUE - - 8 8 8 8 8 8
  DelayedWorkQueue *_TRIAGE_EX_WORK_QUEUE - - 10 10 10 10 10 10
  DelayedIoWorkQueue *_TRIAGE_EX_WORK_QUEUE - - - 18 18 18 18 18

_TRIAGE_9F_POWER - - 20 28 28 28 28 28
  Signature u16 - - 0 0 0 0 0 0
  Revision u16 - - 2 2 2 2 2 2
  IrpList *_LIST_ENTRY - - 8 8 8 8 8 8
  ThreadList *_LIST_ENTRY - - 10 10 10 10 10 10
  DelayedWorkQueue *_TRIAGE_EX_WORK_QUEUE - - 18 18 18 18 18 18
  DelayedIoWorkQueue *_TRIAGE_EX_WORK_QUEUE - - - 20 20 20 20 20

_TRIAGE_PNP_DEVICE_COMPLETION_QUEUE - - 10 10 10 10 10 10
  DispatchedList _LIST_ENTRY - - 0 0 0 0 0 0

_TRIAGE_PNP_DEVICE_COMPLETION_REQUEST - - 18 18 18 18 18 18
  ListEntry _LIST_ENTRY - - 0 0 0 0 0 0
  DeviceNode *_TRIAGE_DEVICE_NODE - - 10 10 10 10 10 10

_TRIAGE_DEVICE_NODE - - 58 58 58 58 58 58
  Sibling *_TRIAGE_DEVICE_NODE - - 0 0 0 0 0 0
  Child *_TRIAGE_DEVICE_NODE - - 8 8 8 8 8 8
  Parent *_TRIAGE_DEVICE_NODE - - 10 10 10 10 10 10
  LastChild *_TRIAGE_DEVICE_NODE - - 18 18 18 18 18 18
  PhysicalDeviceObject *_DEVICE_OBJECT - - 20 20 20 20 20 20
  InstancePath _UNICODE_STRING - - 28 28 28 28 28 28
  ServiceName _UNICODE_STRING - - 38 38 38 38 38 38
  PendingIrp *_IRP - - 48 48 48 48 48 48
  FxDevice *_TRIAGE_POP_FX_DEVICE - - 50 50 50 50 50 50

_TRIAGE_POP_FX_DEVICE - - 38 38 38 38 38 38
  Link _LIST_ENTRY - - 0 0 0 0 0 0
  Irp *_IRP - - 10 10 10 10 10 10
  IrpData *_TRIAGE_POP_IRP_DATA - - 18 18 18 18 18 18
  Status u32 - - 20 20 20 20 20 20
  DeviceNode *_TRIAGE_DEVICE_NODE - - 30 30 30 30 30 30

_TRIAGE_POP_IRP_DATA - - 20 20 20 20 20 20
  Link _LIST_ENTRY - - 0 0 0 0 0 0
  Irp *_IRP - - 10 10 10 10 10 10
  Pdo *_DEVICE_OBJECT - - 18 18 18 18 18 18

_TRIAGE_EX_WORK_QUEUE - - 2b0 2b0 2b0 2b0 2b0 2b0
  WorkPriQueue _KPRIQUEUE - - 0 0 0 0 0 0

_POP_IRP_DATA - f8 f8 f8 100 100 120 120
  Link _LIST_ENTRY - 0 0 0 0 0 0 0
  Irp *_IRP - 10 10 10 10 10 10 10
  Pdo *_DEVICE_OBJECT - 18 18 18 18 18 18 18
  TargetDevice *_DEVICE_OBJECT - 20 20 20 20 20 20 20
  CurrentDevice *_DEVICE_OBJECT - 28 28 28 28 28 28 28
  WatchdogStart u64 - 30 30 30 30 30 30 30
  WatchdogTimer _KTIMER - 38 38 38 38 38 38 38
  WatchdogDpc _KDPC - 78 78 78 78 78 78 78
  MinorFunction u8 - b8 b8 b8 b8 b8 b8 b8
  PowerStateType u32 - bc bc bc bc bc bc bc
  PowerState _POWER_STATE - c0 c0 c0 c0 c0 c0 c0
  WatchdogEnabled u8 - c4 c4 c4 c4 c4 c4 c4
  FxDevice *_POP_FX_DEVICE - c8 c8 c8 c8 c8 c8 c8
  SystemTransition u8 - d0 d0 d0 d0 d0 d0 d0

_PNP_DEVICE_COMPLETION_QUEUE 50 50 50 50 50 50 50 50
  DispatchedList _LIST_ENTRY 0
  DispatchedCount u32 10
  CompletedList _LIST_ENTRY 18
  CompletedSemaphore _KSEMAPHORE 28
  SpinLock u64 48

_PNP_DEVICE_COMPLETION_REQUEST 68 40 40 80 48 48 48 48
  ListEntry _LIST_ENTRY 0
  DeviceNode *_DEVICE_NODE 10
  Context * 18
  CompletionState u32 20
  IrpPended u32 24
  Status u32 28

_PNP_DEVICE_EVENT_LIST 88 88 88 88 88 88 88 88
  Status u32 0
  EventQueueMutex _KMUTANT 8
  Lock _FAST_MUTEX 40
  List _LIST_ENTRY 78

_PNP_DEVICE_EVENT_ENTRY 90 a8 b8 c0 c0 c0 c0 c0
  ListEntry _LIST_ENTRY 0
  Argument u32 10
  CallerEvent *_KEVENT 18
  Callback * 20
  Data _PLUGPLAY_EVENT_BLOCK 40 58 68 70 70 70 70 70

_PNP_DEVICE_ACTION_ENTRY 38 38 48 60 60 60 60 60
  ListEntry _LIST_ENTRY 0
  DeviceObject *_DEVICE_OBJECT 10
  RequestType u32 18
  CompletionEvent *_KEVENT 28

_KLDR_DATA_TABLE_ENTRY - - a0 a0 a0 a0 a0 a0
  InLoadOrderLinks _LIST_ENTRY - - 0 0 0 0 0 0
  ExceptionTable * - - 10 10 10 10 10 10
  ExceptionTableSize u32 - - 18 18 18 18 18 18
  DllBase * - - 30 30 30 30 30 30
  EntryPoint * - - 38 38 38 38 38 38
  SizeOfImage u32 - - 40 40 40 40 40 40
  FullDllName _UNICODE_STRING - - 48 48 48 48 48 48
  BaseDllName _UNICODE_STRING - - 58 58 58 58 58 58
  Flags u32 - - 68 68 68 68 68 68
  LoadCount u16 - - 6c 6c 6c 6c 6c 6c
  CheckSum u32 - - 78 78 78 78 78 78
  TimeDateStamp u32 - - 9c 9c 9c 9c 9c 9c

_LDR_DATA_TABLE_ENTRY e0 118 120 120 120 120 138 138
  InLoadOrderLinks _LIST_ENTRY 0
  DllBase * 30
  EntryPoint * 38
  SizeOfImage u32 40
  FullDllName _UNICODE_STRING 48
  BaseDllName _UNICODE_STRING 58
  Flags u32 68
  LoadCount u16 6c - - - - - - -
  CheckSum u32 78 - - - - - 120 120
  TimeDateStamp u32 80

_MMPTE_HARDWARE 8 8 8 8 8 8 8 8
  Valid bits 0:0+1
  Write bits 0:11+1
  Owner bits 0:2+1
  LargePage bits 0:7+1
  PageFrameNumber bits 0:12+36 0:12+36 0:12+36 0:12+36 0:12+36 0:12+36 0:12+40 0:12+40
  NoExecute bits 0:63+1

_MMPTE_TRANSITION 8 8 8 8 8 8 8 8
  Valid bits 0:0+1
  Write bits 0:1+1
  Prototype bits 0:10+1
  Transition bits 0:11+1
  PageFrameNumber bits 0:12+36 0:12+36 0:12+36 0:12+36 0:12+36 0:12+36 0:12+40 0:12+40

_OBJECT_HEADER 38 38 38 38 38 38 38 38
  TypeIndex u8 18
  InfoMask u8 1a
  Body _QUAD 30

_OBJECT_HEADER_NAME_INFO 20 20 20 20 20 20 20 20
  Directory *_OBJECT_DIRECTORY 0
  Name _UNICODE_STRING 8

_KUSER_SHARED_DATA 5f0 5f0 708 710 710 720 730 730
  InterruptTime _KSYSTEM_TIME 8
  SystemTime _KSYSTEM_TIME 14
  NtSystemRoot u16[260] 30
  NtBuildNumber u32 - - 260 260 260 260 260 260
  NtMajorVersion u32 26c
  NtMinorVersion u32 270
  TickCount _KSYSTEM_TIME 320

_OBJECT_TYPE d0 d8 d8 d8 d8 d8 d8 d8
  TypeList _LIST_ENTRY 0
  Name _UNICODE_STRING 10
  Index u8 28

_DRIVER_EXTENSION 38 50 50 50 50 50 50 50
  DriverObject *_DRIVER_OBJECT 0
  AddDevice * 8
  Count u32 10
  ServiceKeyName _UNICODE_STRING 18

_PLUGPLAY_EVENT_BLOCK 50 50 50 50 50 50 50 50
  EventGuid _GUID 0
  EventCategory u32 10
  Result * 18
  Flags u32 20
  TotalSize u32 24
  DeviceObject * 28
  u * 30

_KLOCK_ENTRY - 60 60 60 60 60 60 60
  TreeNode _RTL_BALANCED_NODE - 0 0 0 0 0 0 18
  AcquiredByte u8 - 1f 1a 1a 1a 1a 1a 12
  AcquiredBit bits - - 1a:0+1 1a:0+1 1a:0+1 1a:0+1 1a:0+1 -
  WaitingBit bits - - 19:0+1 19:0+1 19:0+1 19:0+1 19:0+1 -
  WaitingByte u8 - - - - - - - 11
  LockState _KLOCK_ENTRY_LOCK_STATE - 20 20 20 20 20 20 0
  LockUnsafe * - 20 20 20 20 20 20 0
  InTreeByte u8 - 27 27 27 27 27 27 7

_KQUEUE 40 40 40 40 40 40 40 40
  Header _DISPATCHER_HEADER 0
  EntryListHead _LIST_ENTRY 18
  CurrentCount u32 28
  MaximumCount u32 2c
  ThreadListHead _LIST_ENTRY 30

_KPRIQUEUE - 2b0 2b0 2b0 2b0 2b0 2b0 2b0
  Header _DISPATCHER_HEADER - 0 0 0 0 0 0 0
  EntryListHead _LIST_ENTRY[32] - 18 18 18 18 18 18 18
  ThreadListHead _LIST_ENTRY - 2a0 2a0 2a0 2a0 2a0 2a0 2a0

_KALPC_MESSAGE 100 100 110 118 118 118 118 118
  OwnerPort *_ALPC_PORT 70 18 18 18 18 18 18 18
  WaitingThread *_ETHREAD 58 20 20 20 20 20 20 20
  CommunicationInfo *_ALPC_COMMUNICATION_INFO c0 a8 b8 b8 b8 b8 b8 b8
  ConnectionPort *_ALPC_PORT c8 b0 c0 c0 c0 c0 c0 c0
  ServerThread *_ETHREAD d0 b8 c8 c8 c8 c8 c8 c8

_ALPC_PORT 1a0 1c0 1d8 1d8 1d8 1d8 1d8 1d8
  CommunicationInfo *_ALPC_COMMUNICATION_INFO 10
  OwnerProcess *_EPROCESS 18

_ALPC_COMMUNICATION_INFO 40 48 48 48 48 48 48 50
  ConnectionPort *_ALPC_PORT 0
  ServerCommunicationPort *_ALPC_PORT 8
  ClientCommunicationPort *_ALPC_PORT 10

_PEB 380 388 7a0 7c8 7c8 7c8 7d0 7d0
  LoaderLock * 110

_EX_WORK_QUEUE 58 2d0 2d0 2e0 2e0 2e0 2e0 2e0
  WorkerQueue _KQUEUE 0 - - - - - - -
  WorkPriQueue _KPRIQUEUE - 0 0 0 0 0 0 0
"""
