// Purpose: types of the blocking MMU, and what a paging-structure entry means: sizes, canonical addresses, rights.
// Manual: SDM vol. 3A, 4.5 (4- and 5-level paging), 4.3 (32-bit paging), 4.6 (rights).

// Functions take whole structures and look at some of their fields.
// verilator lint_off UNUSEDSIGNAL

package bmmu_pkg;

  // One access, as the core asks for it.
  typedef struct packed {
    logic        write;
    logic        fetch;
    logic        user;      // user-mode access: CPL 3 and not implicit
    logic        implied;   // implicit supervisor access, which AC does not help
    logic        ac;        // EFLAGS.AC
    logic [31:0] pkru;
    logic [63:0] va;
  } access_t;

  typedef enum logic [1:0] {
    ResOk       = 2'd0,
    ResFault    = 2'd1,  // #PF
    ResNonCanon = 2'd2,  // #GP
    ResBusError = 2'd3
  } outcome_e;

  typedef enum logic [1:0] {
    Size4K = 2'd0,
    Size2M = 2'd1,
    Size1G = 2'd2,
    Size4M = 2'd3
  } size_e;

  // The answer; what an outcome does not define is 0.
  typedef struct packed {
    outcome_e    outcome;
    logic [51:0] pa;
    size_e       size;
    logic        pwt;
    logic        pcd;
    logic        pat;
    logic [5:0]  code;  // #PF: P, W, U, RSVD, I, PK from bit 0 up
    logic [63:0] va;    // #PF: what goes to CR2
  } answer_t;

  // What the path to a page allows.
  typedef struct packed {
    logic       rw;
    logic       us;
    logic       xd;
    logic [3:0] key;
  } perm_t;

  // A translation: what the walker finds and the TLB keeps. `global_page` is bit 8 of the leaf, if CR4.PGE is set.
  typedef struct packed {
    logic [44:0] vpn;  // va[56:12]; bits inside a large page are not compared
    logic [39:0] pfn;  // pa[51:12]; of a large page the low bits are 0
    logic [11:0] pcid;
    logic        global_page;
    size_e       size;
    perm_t       perm;
    logic        dirty;
    logic        pwt;
    logic        pcd;
    logic        pat;
  } xlate_t;

  // Which entries of the TLB go: those of one page or of all, and of one PCID or of all; globals only if it says so, and then of any PCID.
  typedef struct packed {
    logic        one_page;
    logic [44:0] vpn;
    logic        one_pcid;
    logic [11:0] pcid;
    logic        globals;
  } purge_t;

  // The control registers, bit by bit.
  typedef struct packed {
    logic        pe, wp, pg;
    logic [51:0] cr3;
    logic        pse, pae, pge, la57, pcide, smep, smap, pke;
    logic        lme, nxe;
  } regs_t;

  // The registers that software writes.
  typedef enum logic [1:0] {
    RegCr0  = 2'd0,
    RegCr3  = 2'd1,
    RegCr4  = 2'd2,
    RegEfer = 2'd3
  } reg_e;

  function automatic logic long_mode(regs_t r);
    return r.pg && r.lme;
  endfunction

  function automatic logic [11:0] current_pcid(regs_t r);
    return r.pcide ? r.cr3[11:0] : 12'h0;
  endfunction

  function automatic logic canonical(logic [63:0] va, logic la57);
    return la57 ? va[63:56] == {8{va[56]}} : va[63:47] == {17{va[47]}};
  endfunction

  // The bits of a virtual page number, or of a frame's low 45, that lie inside a page of this size.
  function automatic logic [44:0] inside_page(size_e size);
    unique case (size)
      Size4K: return 45'h0;
      Size2M: return 45'h1ff;
      Size1G: return 45'h3ffff;
      Size4M: return 45'h3ff;
      default: return 45'h0;
    endcase
  endfunction

  // A protection key forbids the access.
  function automatic logic key_denies(access_t a, perm_t p, regs_t r);
    logic [1:0] rights;
    rights = 2'(a.pkru >> {p.key, 1'b0});
    return !a.fetch && p.us && r.pke && long_mode(r) && (rights[0] || (rights[1] && a.write && (a.user || r.wp)));
  endfunction

  // The path to the page, a key included, forbids the access.
  function automatic logic denies(access_t a, perm_t p, regs_t r);
    logic mode, exec, store, smap;
    mode  = a.user && !p.us;
    exec  = a.fetch && (p.xd || (!a.user && p.us && r.smep));
    store = a.write && !p.rw && (a.user || r.wp);
    smap  = !a.fetch && !a.user && p.us && r.smap && (a.implied || !a.ac);
    return mode || exec || store || smap || key_denies(a, p, r);
  endfunction

  // A translation serves an access: rights are judged anew for each, and a write needs the dirty bit set.
  function automatic logic serves(access_t a, xlate_t x, regs_t r);
    return !denies(a, x.perm, r) && (x.dirty || !a.write);
  endfunction

  // The answer that a translation gives; only the low 30 bits of the address can lie inside a page.
  function automatic answer_t translated(logic [29:0] va, xlate_t x);
    answer_t res;
    res         = '0;
    res.outcome = ResOk;
    res.pa      = {x.pfn | (40'(va[29:12]) & 40'(inside_page(x.size))), va[11:0]};
    res.size    = x.size;
    res.pwt     = x.pwt;
    res.pcd     = x.pcd;
    res.pat     = x.pat;
    return res;
  endfunction

endpackage

// verilator lint_on UNUSEDSIGNAL
