/* C++ exception handling: functions with clean-ups and handlers, nothing is ever thrown. */
typedef unsigned long long u64;
#define NOINLINE __attribute__((noinline))
extern "C" u64 leaf(u64);
extern "C" u64 small_frame(u64);
extern "C" volatile u64 sink;
extern "C" int __CxxFrameHandler3(...) { return 0; }
extern "C" void __std_terminate() { for (;;) { } }

struct Counted {
    u64 value;
    NOINLINE explicit Counted(u64 a) : value(small_frame(a)) { }
    NOINLINE ~Counted() { sink = leaf(value); }
};
struct Base { virtual u64 of(u64 a) { return leaf(a); } };
struct Derived : Base { u64 of(u64 a) override { Counted one(a); return leaf(a) + one.value; } };

NOINLINE u64 cleaned_up(u64 a)
{
    Counted one(a), two(a + 1);
    return small_frame(one.value) + leaf(two.value);
}
NOINLINE u64 caught(u64 a)
{
    u64 result = a;
    try { Counted one(a); result += cleaned_up(one.value); } catch (...) { result = leaf(a); }
    return result + leaf(result);
}
extern "C" NOINLINE u64 of_objects(u64 a)
{
    Derived derived;
    Base *volatile base = &derived;
    return caught(a) + base->of(a);
}
