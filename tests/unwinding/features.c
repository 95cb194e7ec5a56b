/* Functions of every shape that a compiler gives different unwind data. Each one calls on, so that every other one
   is seen from below, too. Nothing is taken from a library. */
typedef unsigned long long u64;
#define NOINLINE __attribute__((noinline))

extern void stop(void);
extern u64 assembled(u64);

volatile u64 sink;
u64 steps;
u64 (*volatile through)(u64);

void *memcpy(void *to, const void *from, u64 count)
{
    for (u64 i = 0; i < count; i++) ((volatile char *)to)[i] = ((const volatile char *)from)[i];
    return to;
}

NOINLINE u64 leaf(u64 a) { return a * 3 + 1; }

NOINLINE u64 many_arguments(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f, u64 g, u64 h, u64 i, u64 j)
{
    u64 x = leaf(a) + b * leaf(c), y = leaf(d ^ e), z = leaf(f + x), w = leaf(g) ^ h, v = leaf(i + y), t = leaf(j);
    return x ^ y * z + w - v + t + leaf(x + y + z + w + v + t);
}

NOINLINE u64 small_frame(u64 a)
{
    volatile u64 buffer[12];
    for (int i = 0; i < 12; i++) buffer[i] = a + i;
    return leaf(buffer[a % 12]) + buffer[3];
}

NOINLINE u64 large_frame(u64 a)
{
    volatile u64 buffer[0x900];
    buffer[a % 0x900] = small_frame(a);
    return leaf(buffer[a % 0x900]) + a;
}

NOINLINE u64 huge_frame(u64 a)
{
    volatile u64 buffer[0x12000];
    buffer[a % 0x12000] = large_frame(a);
    return leaf(buffer[a % 0x12000]) + a;
}

NOINLINE u64 variable_frame(u64 a)
{
    volatile u64 *buffer = __builtin_alloca((a % 7 + 1) * 8);
    buffer[a % 7] = a;
    u64 x = small_frame(buffer[a % 7]);
    return x + leaf(x) + buffer[a % 7];
}

NOINLINE u64 variable_and_large(u64 a)
{
    volatile u64 fixed[0x300];
    volatile u64 *buffer = __builtin_alloca((a % 700 + 600) * 8);
    buffer[a % 600] = fixed[a % 0x300] = variable_frame(a);
    u64 x = small_frame(buffer[a % 600]);
    return x + leaf(x) + buffer[a % 600] + fixed[a % 0x300];
}

NOINLINE double of_doubles(double a) { return a * 1.5 + (double)leaf((u64)a); }

NOINLINE double saved_doubles(double a, double b, double c, double d)
{
    double e = of_doubles(a), f = of_doubles(b), g = of_doubles(c), h = of_doubles(d), i = of_doubles(e + f);
    double j = of_doubles(g + h);
    return a + b * c - d + e * f + g - h * i + j + of_doubles(a + i + j);
}

NOINLINE double doubles_in_a_variable_frame(u64 n, double a, double b)
{
    volatile double *buffer = __builtin_alloca((n % 9 + 1) * 8);
    double e = of_doubles(a), f = of_doubles(b), g = of_doubles(a + b), h = of_doubles(a - b);
    buffer[n % 9] = saved_doubles(e, f, g, h);
    return buffer[n % 9] + a * e - b * f + g * h + of_doubles(e);
}

NOINLINE u64 doubles_in_a_large_frame(u64 n, double a, double b)
{
    volatile double buffer[0x8000];
    double e = of_doubles(a), f = of_doubles(b), g = of_doubles(a + b), h = of_doubles(a - b);
    buffer[n % 0x8000] = saved_doubles(e, f, g, h);
    return (u64)(buffer[n % 0x8000] + a * e - b * f + g * h + of_doubles(e));
}

NOINLINE u64 recursive(u64 n) { return n < 2 ? leaf(n) : recursive(n - 1) + recursive(n - 2) * leaf(n); }

NOINLINE u64 tail_called(u64 a) { return small_frame(a + 1) ^ a; }
NOINLINE u64 tail_calls(u64 a) { u64 x = leaf(a); sink = leaf(x); return tail_called(x); }
NOINLINE u64 tail_calls_through(u64 a) { sink = leaf(a) + leaf(a + 1); return through(a); }
NOINLINE u64 early_return(u64 a)
{
    if (a & 1) return leaf(a) + 5;
    u64 x = small_frame(a), y = small_frame(x), z = leaf(x + y);
    if (z & 2) return x + y * z + leaf(z);
    return variable_frame(x) + y + z;
}

NOINLINE u64 switched(u64 a, u64 b)
{
    switch (a % 8) {
    case 0: return leaf(b);
    case 1: return small_frame(b) + 1;
    case 2: sink = b; return leaf(b) + 2;
    case 3: return recursive(b % 4);
    case 4: return early_return(b);
    case 5: return leaf(leaf(b));
    case 6: return tail_calls(b) + b;
    default: return b;
    }
}

typedef struct { u64 part[9]; } Large;
NOINLINE Large by_value(Large of, u64 a)
{
    Large other = of;
    for (int i = 0; i < 9; i++) other.part[i] ^= leaf(a + i);
    return other;
}

NOINLINE u64 variadic(int count, ...)
{
    __builtin_va_list list;
    u64 total = 0;
    __builtin_va_start(list, count);
    while (count--) total += leaf(__builtin_va_arg(list, u64));
    __builtin_va_end(list);
    return total;
}

#ifdef WITH_SEH
NOINLINE u64 guarded(u64 a)
{
    u64 result = a;
    __try {
        result = small_frame(a);
        __try { result += leaf(result); } __finally { sink = small_frame(result); }
    } __except (1) {
        result = leaf(a);
    }
    return result;
}
#endif

NOINLINE __attribute__((noreturn)) void never_returns(u64 a)
{
    sink = leaf(a);
    stop();
    for (;;) { }
}

NOINLINE u64 ends_in_a_call(u64 a)
{
    u64 x = small_frame(a), y = leaf(x);
    sink = x + y;
    if (y | 1) never_returns(x + y);
    return y;
}
NOINLINE u64 follows(u64 a) { return leaf(a) + 9; }

#ifdef WITH_GENERATED
extern u64 generated(u64);
#endif
#ifdef WITH_CPP
extern u64 of_objects(u64);
#endif

u64 DriverEntry(u64 a)
{
    u64 n = a & 15;
    sink = many_arguments(a, n, 3, 4, 5, 6, 7, 8, 9, 10);
    sink = large_frame(n);
    sink = huge_frame(n);
    sink = variable_and_large(n);
    sink = (u64)doubles_in_a_variable_frame(n, (double)n, 2.5);
    sink = doubles_in_a_large_frame(n, (double)n, 2.5);
    sink = recursive(6);
    through = tail_called;
    sink = tail_calls(n) + tail_calls_through(n);
    for (u64 i = 0; i < 8; i++) sink = switched(i, n + i) + early_return(i);
    Large one = {{n, 2, 3, 4, 5, 6, 7, 8, 9}};
    sink = by_value(one, n).part[n % 9];
    sink = variadic(6, n, 2ull, 3ull, 4ull, 5ull, 6ull);
    sink = follows(n) + assembled(n);
#ifdef WITH_SEH
    sink = guarded(n);
#endif
#ifdef WITH_CPP
    sink = of_objects(n);
#endif
#ifdef WITH_GENERATED
    sink = generated(n);
#endif
    return ends_in_a_call(n);
}
