/* The arity tables of TZ_TASK: what the preprocessor cannot count. Private to task.h; nothing here is for users. */
#ifndef TRENZA_TASK_ARITY_H
#define TRENZA_TASK_ARITY_H

#if defined(__GNUC__)
#pragma GCC system_header
#endif

#define TZ__CAT_(a, b) a##b
#define TZ__CAT(a, b) TZ__CAT_(a, b)

/* 1 if the type is exactly `void`, else 0. `void` becomes a call of the macro TZ__VOID_void; `void *` does not,
 * because a `*` then stands between the name and the parentheses. */
#define TZ__SECOND(a, b, ...) b
#define TZ__CHECK(...) TZ__SECOND(__VA_ARGS__, 0, 0)
#define TZ__VOID_void() ~, 1
#define TZ__IS_VOID_(T) TZ__CHECK(TZ__VOID_##T(), 0)
#define TZ__IS_VOID(T) TZ__IS_VOID_(T)

#define TZ__FIRST(a, ...) a

/* The number of arguments, 1 to 12; of the types of a prototype, 0 for `void`. */
#define TZ__COUNT_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, n, ...) n
#define TZ__COUNT(...) TZ__COUNT_(__VA_ARGS__, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define TZ__ARITY(...) TZ__CAT(TZ__ARITY_, TZ__IS_VOID(TZ__FIRST(__VA_ARGS__, 0)))(__VA_ARGS__)
#define TZ__ARITY_0(...) TZ__COUNT(__VA_ARGS__)
#define TZ__ARITY_1(...) 0

/* ONE if there is one argument, MANY if there are more. */
#define TZ__MANY(...) TZ__COUNT_(__VA_ARGS__, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, MANY, ONE, ~)

/* the fields of the arguments struct */
#define TZ__FIELDS_0(A) char tz__none;
#define TZ__FIELDS_1(A1) A1 a1;
#define TZ__FIELDS_2(A1, A2) A1 a1; A2 a2;
#define TZ__FIELDS_3(A1, A2, A3) A1 a1; A2 a2; A3 a3;
#define TZ__FIELDS_4(A1, A2, A3, A4) A1 a1; A2 a2; A3 a3; A4 a4;
#define TZ__FIELDS_5(A1, A2, A3, A4, A5) A1 a1; A2 a2; A3 a3; A4 a4; A5 a5;
#define TZ__FIELDS_6(A1, A2, A3, A4, A5, A6) A1 a1; A2 a2; A3 a3; A4 a4; A5 a5; A6 a6;
#define TZ__FIELDS_7(A1, A2, A3, A4, A5, A6, A7) A1 a1; A2 a2; A3 a3; A4 a4; A5 a5; A6 a6; A7 a7;
#define TZ__FIELDS_8(A1, A2, A3, A4, A5, A6, A7, A8) A1 a1; A2 a2; A3 a3; A4 a4; A5 a5; A6 a6; A7 a7; A8 a8;

/* more parameters of a wrapper, by value */
#define TZ__PARAMS_0(A)
#define TZ__PARAMS_1(A1) , A1 tz__1
#define TZ__PARAMS_2(A1, A2) , A1 tz__1, A2 tz__2
#define TZ__PARAMS_3(A1, A2, A3) , A1 tz__1, A2 tz__2, A3 tz__3
#define TZ__PARAMS_4(A1, A2, A3, A4) , A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4
#define TZ__PARAMS_5(A1, A2, A3, A4, A5) , A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5
#define TZ__PARAMS_6(A1, A2, A3, A4, A5, A6) , A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6
#define TZ__PARAMS_7(A1, A2, A3, A4, A5, A6, A7) , A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6, A7 tz__7
#define TZ__PARAMS_8(A1, A2, A3, A4, A5, A6, A7, A8) , A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6, A7 tz__7, A8 tz__8

/* the parameters of a wrapper that has no others */
#define TZ__ONLY_0(A) void
#define TZ__ONLY_1(A1) A1 tz__1
#define TZ__ONLY_2(A1, A2) A1 tz__1, A2 tz__2
#define TZ__ONLY_3(A1, A2, A3) A1 tz__1, A2 tz__2, A3 tz__3
#define TZ__ONLY_4(A1, A2, A3, A4) A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4
#define TZ__ONLY_5(A1, A2, A3, A4, A5) A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5
#define TZ__ONLY_6(A1, A2, A3, A4, A5, A6) A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6
#define TZ__ONLY_7(A1, A2, A3, A4, A5, A6, A7) A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6, A7 tz__7
#define TZ__ONLY_8(A1, A2, A3, A4, A5, A6, A7, A8) A1 tz__1, A2 tz__2, A3 tz__3, A4 tz__4, A5 tz__5, A6 tz__6, A7 tz__7, A8 tz__8

/* more parameters of a wrapper: one array an argument */
#define TZ__ARRAYS_0(A)
#define TZ__ARRAYS_1(A1) , A1 const *tz__1
#define TZ__ARRAYS_2(A1, A2) , A1 const *tz__1, A2 const *tz__2
#define TZ__ARRAYS_3(A1, A2, A3) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3
#define TZ__ARRAYS_4(A1, A2, A3, A4) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3, A4 const *tz__4
#define TZ__ARRAYS_5(A1, A2, A3, A4, A5) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3, A4 const *tz__4, A5 const *tz__5
#define TZ__ARRAYS_6(A1, A2, A3, A4, A5, A6) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3, A4 const *tz__4, A5 const *tz__5, A6 const *tz__6
#define TZ__ARRAYS_7(A1, A2, A3, A4, A5, A6, A7) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3, A4 const *tz__4, A5 const *tz__5, A6 const *tz__6, A7 const *tz__7
#define TZ__ARRAYS_8(A1, A2, A3, A4, A5, A6, A7, A8) , A1 const *tz__1, A2 const *tz__2, A3 const *tz__3, A4 const *tz__4, A5 const *tz__5, A6 const *tz__6, A7 const *tz__7, A8 const *tz__8

/* the arrays as variables with their types */
#define TZ__ARRAYVARS_0(A) (void)tz__in;
#define TZ__ARRAYVARS_1(A1) A1 const *const tz__p1 = (A1 const *)tz__in[0];
#define TZ__ARRAYVARS_2(A1, A2) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1];
#define TZ__ARRAYVARS_3(A1, A2, A3) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2];
#define TZ__ARRAYVARS_4(A1, A2, A3, A4) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2]; A4 const *const tz__p4 = (A4 const *)tz__in[3];
#define TZ__ARRAYVARS_5(A1, A2, A3, A4, A5) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2]; A4 const *const tz__p4 = (A4 const *)tz__in[3]; A5 const *const tz__p5 = (A5 const *)tz__in[4];
#define TZ__ARRAYVARS_6(A1, A2, A3, A4, A5, A6) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2]; A4 const *const tz__p4 = (A4 const *)tz__in[3]; A5 const *const tz__p5 = (A5 const *)tz__in[4]; A6 const *const tz__p6 = (A6 const *)tz__in[5];
#define TZ__ARRAYVARS_7(A1, A2, A3, A4, A5, A6, A7) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2]; A4 const *const tz__p4 = (A4 const *)tz__in[3]; A5 const *const tz__p5 = (A5 const *)tz__in[4]; A6 const *const tz__p6 = (A6 const *)tz__in[5]; A7 const *const tz__p7 = (A7 const *)tz__in[6];
#define TZ__ARRAYVARS_8(A1, A2, A3, A4, A5, A6, A7, A8) A1 const *const tz__p1 = (A1 const *)tz__in[0]; A2 const *const tz__p2 = (A2 const *)tz__in[1]; A3 const *const tz__p3 = (A3 const *)tz__in[2]; A4 const *const tz__p4 = (A4 const *)tz__in[3]; A5 const *const tz__p5 = (A5 const *)tz__in[4]; A6 const *const tz__p6 = (A6 const *)tz__in[5]; A7 const *const tz__p7 = (A7 const *)tz__in[6]; A8 const *const tz__p8 = (A8 const *)tz__in[7];

/* a call from element tz__i of the arrays */
#define TZ__ELEMENT_0
#define TZ__ELEMENT_1 tz__p1[tz__i]
#define TZ__ELEMENT_2 tz__p1[tz__i], tz__p2[tz__i]
#define TZ__ELEMENT_3 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i]
#define TZ__ELEMENT_4 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i], tz__p4[tz__i]
#define TZ__ELEMENT_5 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i], tz__p4[tz__i], tz__p5[tz__i]
#define TZ__ELEMENT_6 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i], tz__p4[tz__i], tz__p5[tz__i], tz__p6[tz__i]
#define TZ__ELEMENT_7 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i], tz__p4[tz__i], tz__p5[tz__i], tz__p6[tz__i], tz__p7[tz__i]
#define TZ__ELEMENT_8 tz__p1[tz__i], tz__p2[tz__i], tz__p3[tz__i], tz__p4[tz__i], tz__p5[tz__i], tz__p6[tz__i], tz__p7[tz__i], tz__p8[tz__i]

/* the kinds in a descriptor */
#define TZ__KINDS_0(A) TZ__TYPE_VOID
#define TZ__KINDS_1(A1) TZ__TYPE(A1)
#define TZ__KINDS_2(A1, A2) TZ__TYPE(A1), TZ__TYPE(A2)
#define TZ__KINDS_3(A1, A2, A3) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3)
#define TZ__KINDS_4(A1, A2, A3, A4) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3), TZ__TYPE(A4)
#define TZ__KINDS_5(A1, A2, A3, A4, A5) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3), TZ__TYPE(A4), TZ__TYPE(A5)
#define TZ__KINDS_6(A1, A2, A3, A4, A5, A6) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3), TZ__TYPE(A4), TZ__TYPE(A5), TZ__TYPE(A6)
#define TZ__KINDS_7(A1, A2, A3, A4, A5, A6, A7) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3), TZ__TYPE(A4), TZ__TYPE(A5), TZ__TYPE(A6), TZ__TYPE(A7)
#define TZ__KINDS_8(A1, A2, A3, A4, A5, A6, A7, A8) TZ__TYPE(A1), TZ__TYPE(A2), TZ__TYPE(A3), TZ__TYPE(A4), TZ__TYPE(A5), TZ__TYPE(A6), TZ__TYPE(A7), TZ__TYPE(A8)

/* the arguments struct from the parameters */
#define TZ__INIT_0 0
#define TZ__INIT_1 tz__1
#define TZ__INIT_2 tz__1, tz__2
#define TZ__INIT_3 tz__1, tz__2, tz__3
#define TZ__INIT_4 tz__1, tz__2, tz__3, tz__4
#define TZ__INIT_5 tz__1, tz__2, tz__3, tz__4, tz__5
#define TZ__INIT_6 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6
#define TZ__INIT_7 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7
#define TZ__INIT_8 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7, tz__8

/* a call from the arguments struct */
#define TZ__FROM_0
#define TZ__FROM_1 tz__in->a1
#define TZ__FROM_2 tz__in->a1, tz__in->a2
#define TZ__FROM_3 tz__in->a1, tz__in->a2, tz__in->a3
#define TZ__FROM_4 tz__in->a1, tz__in->a2, tz__in->a3, tz__in->a4
#define TZ__FROM_5 tz__in->a1, tz__in->a2, tz__in->a3, tz__in->a4, tz__in->a5
#define TZ__FROM_6 tz__in->a1, tz__in->a2, tz__in->a3, tz__in->a4, tz__in->a5, tz__in->a6
#define TZ__FROM_7 tz__in->a1, tz__in->a2, tz__in->a3, tz__in->a4, tz__in->a5, tz__in->a6, tz__in->a7
#define TZ__FROM_8 tz__in->a1, tz__in->a2, tz__in->a3, tz__in->a4, tz__in->a5, tz__in->a6, tz__in->a7, tz__in->a8

/* a call from the parameters */
#define TZ__PASS_0
#define TZ__PASS_1 tz__1
#define TZ__PASS_2 tz__1, tz__2
#define TZ__PASS_3 tz__1, tz__2, tz__3
#define TZ__PASS_4 tz__1, tz__2, tz__3, tz__4
#define TZ__PASS_5 tz__1, tz__2, tz__3, tz__4, tz__5
#define TZ__PASS_6 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6
#define TZ__PASS_7 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7
#define TZ__PASS_8 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7, tz__8

/* the arrays as const void * */
#define TZ__POINTERS_0 0
#define TZ__POINTERS_1 tz__1
#define TZ__POINTERS_2 tz__1, tz__2
#define TZ__POINTERS_3 tz__1, tz__2, tz__3
#define TZ__POINTERS_4 tz__1, tz__2, tz__3, tz__4
#define TZ__POINTERS_5 tz__1, tz__2, tz__3, tz__4, tz__5
#define TZ__POINTERS_6 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6
#define TZ__POINTERS_7 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7
#define TZ__POINTERS_8 tz__1, tz__2, tz__3, tz__4, tz__5, tz__6, tz__7, tz__8

/* the offset of each argument */
#define TZ__OFFSETS_0(S) 0
#define TZ__OFFSETS_1(S) (uint32_t)offsetof(S, a1)
#define TZ__OFFSETS_2(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2)
#define TZ__OFFSETS_3(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3)
#define TZ__OFFSETS_4(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3), (uint32_t)offsetof(S, a4)
#define TZ__OFFSETS_5(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3), (uint32_t)offsetof(S, a4), (uint32_t)offsetof(S, a5)
#define TZ__OFFSETS_6(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3), (uint32_t)offsetof(S, a4), (uint32_t)offsetof(S, a5), (uint32_t)offsetof(S, a6)
#define TZ__OFFSETS_7(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3), (uint32_t)offsetof(S, a4), (uint32_t)offsetof(S, a5), (uint32_t)offsetof(S, a6), (uint32_t)offsetof(S, a7)
#define TZ__OFFSETS_8(S) (uint32_t)offsetof(S, a1), (uint32_t)offsetof(S, a2), (uint32_t)offsetof(S, a3), (uint32_t)offsetof(S, a4), (uint32_t)offsetof(S, a5), (uint32_t)offsetof(S, a6), (uint32_t)offsetof(S, a7), (uint32_t)offsetof(S, a8)

#endif
