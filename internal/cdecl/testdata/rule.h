struct rule {
	__u8 action;                                    /*     0     1 PASS=0 DROP=1 */
	__u8 _pad1[3];                                  /*     1     3 padding */
	__u32 number;                                   /*     4     4 */
	__be16 if_;                                     /*     8     2 */
	char text[5];                                   /*    10     5 */
	__u16 hops[2][3];                               /*    16    12 */
	union {
		__be32 v4;                              /*    28     4 ipv4 */
		struct in6_addr v6;                     /*    28    16 ipv6 */
	} target;                                       /*    28    16 */
	struct {
		__u64 rate;                             /*    48     8 */
		__u8 burst;                             /*    56     1 */
	} limits[2];                                    /*    48    32 */
	__u32 mode : 3;                                 /*    80:0 3 bits */
	__u32 level : 7;                                /*    80:3 7 bits */
	__u8 tail __attribute__((aligned(16)));         /*    96     1 */
};
_Static_assert(sizeof(struct rule) == 112, "size of struct rule");
_Static_assert(__builtin_offsetof(struct rule, action) == 0, "offset of action");
_Static_assert(__builtin_offsetof(struct rule, number) == 4, "offset of number");
_Static_assert(__builtin_offsetof(struct rule, if_) == 8, "offset of if_");
_Static_assert(__builtin_offsetof(struct rule, text) == 10, "offset of text");
_Static_assert(__builtin_offsetof(struct rule, hops) == 16, "offset of hops");
_Static_assert(__builtin_offsetof(struct rule, target) == 28, "offset of target");
_Static_assert(__builtin_offsetof(struct rule, target.v4) == 28, "offset of target.v4");
_Static_assert(__builtin_offsetof(struct rule, target.v6) == 28, "offset of target.v6");
_Static_assert(__builtin_offsetof(struct rule, limits) == 48, "offset of limits");
_Static_assert(__builtin_offsetof(struct rule, limits[0].rate) == 48, "offset of limits[0].rate");
_Static_assert(__builtin_offsetof(struct rule, limits[0].burst) == 56, "offset of limits[0].burst");
_Static_assert(__builtin_offsetof(struct rule, tail) == 96, "offset of tail");
