// The dialect in which kernels are written once for CUDA, OpenCL and the tests' host C++.
//
// A kernel runs in groups that know nothing of each other. Inside, work is in loops over items,
// FOR_ITEMS(i, n), whose passes run in any order and at the same time; what a pass writes to memory
// of the group, another pass may read only after a BARRIER, outside of such loops. Nothing else
// lives across loops but what is the same for all of the group. So a group can be run by one thread,
// too: that is what the host does. FOR_ALL_ITEMS(i, items), where `items` is the kernel's own number,
// is the same with one pass for each, which compilers for processors know how to vectorise.
//
// Buffers hold 32-bit words only, int, uint or float; WebGPU has no smaller ones. No kernel has more
// than 8 of them, a browser's limit. Arithmetic is IEEE single precision without contraction: where
// a product is added to, it is rounded first.

#if defined(DIALECT_CUDA)
typedef unsigned int uint;
#define KERNEL(items) extern "C" __global__ __launch_bounds__(items) void
#define DEVICE static __device__ __forceinline__
#define IN(type) const type* __restrict__
#define OUT(type) type* __restrict__
#define INOUT(type) type*
#define LOCAL(type, name, size) __shared__ type name[size]
#define CONSTANT static __device__ const
#define GROUP() ((int)blockIdx.x)
#define FOR_ITEMS(i, count) for (int i = threadIdx.x; i < (count); i += blockDim.x)
#define FOR_ALL_ITEMS(i, items) for (int i = threadIdx.x, once = 1; once; once = 0)
#define BARRIER() __syncthreads()
#define ATOMIC_ADD(pointer, value) atomicAdd((pointer), (value))
#define ATOMIC_MAX(pointer, value) atomicMax((pointer), (value))
#define ATOMIC_CAS(pointer, expected, value) atomicCAS((pointer), (expected), (value))
#define LOCAL_ATOMIC_ADD(pointer, value) atomicAdd((pointer), (value))
#define FLOOR_TO_INT(x) __float2int_rd(x)
#define POPCOUNT(x) __popc(x)
#define AS_UINT(x) __float_as_uint(x)
#define AS_FLOAT(x) __uint_as_float(x)

#elif defined(DIALECT_OPENCL)
#pragma OPENCL FP_CONTRACT OFF
#define KERNEL(items) __kernel __attribute__((reqd_work_group_size(items, 1, 1))) void
#define DEVICE static inline
#define IN(type) const __global type* restrict
#define OUT(type) __global type* restrict
#define INOUT(type) __global type*
#define LOCAL(type, name, size) __local type name[size]
#define CONSTANT __constant const
#define GROUP() ((int)get_group_id(0))
#define FOR_ITEMS(i, count) for (int i = get_local_id(0); i < (count); i += get_local_size(0))
#define FOR_ALL_ITEMS(i, items) for (int i = get_local_id(0), once = 1; once; once = 0)
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE)
#define ATOMIC_ADD(pointer, value) atomic_add((pointer), (value))
#define ATOMIC_MAX(pointer, value) atomic_max((pointer), (value))
#define ATOMIC_CAS(pointer, expected, value) atomic_cmpxchg((pointer), (expected), (value))
#define LOCAL_ATOMIC_ADD(pointer, value) atomic_add((pointer), (value))
#if defined(__has_builtin)
#if __has_builtin(__builtin_popcount)
#define POPCOUNT(x) __builtin_popcount(x)  // PoCL's popcount takes five times as long
#endif
#endif
#ifndef POPCOUNT
#define POPCOUNT(x) ((int)popcount(x))
#endif
#define AS_UINT(x) as_uint(x)
#define AS_FLOAT(x) as_float(x)
// PoCL calls its library for these, and cannot vectorise then.
static inline float lesser_of(float a, float b) { return a < b ? a : b; }
static inline float greater_of(float a, float b) { return a > b ? a : b; }
static inline int floor_to_int(float x) { return (int)x - (x < (float)(int)x ? 1 : 0); }
#define fabsf(x) as_float(as_uint(x) & 0x7FFFFFFFu)
#define fminf lesser_of
#define fmaxf greater_of
#define FLOOR_TO_INT(x) floor_to_int(x)

#elif defined(DIALECT_HOST)
#include <math.h>
#include <string.h>
typedef unsigned int uint;
#define KERNEL(items) extern "C" void
#define DEVICE static inline
#define IN(type) const type* __restrict__
#define OUT(type) type* __restrict__
#define INOUT(type) type*
#define LOCAL(type, name, size) static thread_local type name[size]
#define CONSTANT static const
static thread_local int host_group;
#define GROUP() host_group
#define FOR_ITEMS(i, count) for (int i = 0; i < (count); i++)
#define FOR_ALL_ITEMS(i, items) for (int i = 0; i < (items); i++)
#define BARRIER()
template <class T> static inline T host_cas(T* p, T expected, T value) {
    __atomic_compare_exchange_n(p, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return expected;
}
template <class T> static inline T host_max(T* p, T value) {
    T before = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (value > before) {
        T seen = host_cas(p, before, value);
        if (seen == before) break;
        before = seen;
    }
    return before;
}
#define ATOMIC_ADD(pointer, value) __atomic_fetch_add((pointer), (value), __ATOMIC_RELAXED)
#define ATOMIC_MAX(pointer, value) host_max((pointer), (value))
#define ATOMIC_CAS(pointer, expected, value) host_cas((pointer), (expected), (value))
#define LOCAL_ATOMIC_ADD(pointer, value) (*(pointer) += (value))
#define FLOOR_TO_INT(x) ((int)floorf(x))
#define POPCOUNT(x) __builtin_popcount(x)
static inline uint AS_UINT(float x) { uint bits; memcpy(&bits, &x, 4); return bits; }
static inline float AS_FLOAT(uint bits) { float x; memcpy(&x, &bits, 4); return x; }
#endif
