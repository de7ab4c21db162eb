// Purpose: types of the blocking MMU, and rules that more than one of its modules needs: sizes of
// pages, canonical addresses, rights.
// Manual: SDM vol. 3A, 4.3 (32-bit paging), 4.5 (4- and 5-level paging), 4.6 (rights).

package bmmu_pkg;

  // One access, beside its address.
  typedef struct packed {
    logic        write;
    logic        fetch;
    logic        user;     // user-mode access: CPL 3 and not implicit
    logic        implied;  // implicit supervisor access, which AC does not help
    logic        ac;       // EFLAGS.AC
    logic [31:0] pkru;
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

  // What the path to a page allows.
  typedef struct packed {
    logic       rw;
    logic       us;
    logic       xd;
    logic [3:0] key;
  } perm_t;

  // Where a page is, and how its memory is typed.
  typedef struct packed {
    logic [39:0] frame;  // pa[51:12]; of a large page the low bits are 0
    size_e       size;
    logic        pwt;
    logic        pcd;
    logic        pat;
  } page_t;

  // A translation, as the walker finds it and the TLB keeps it: what it is looked up by, and the
  // rest.
  typedef struct packed {
    logic [44:0] vpn;          // va[56:12]; bits inside a large page are not compared
    logic [11:0] pcid;
    logic        global_page;  // bit 8 of the leaf, if CR4.PGE is set
  } tag_t;

  typedef struct packed {
    perm_t perm;
    logic  dirty;
    page_t page;
  } body_t;

  // The answer to an access; what an outcome does not define is 0.
  typedef struct packed {
    outcome_e    outcome;
    logic [51:0] pa;
    size_e       size;
    logic        pwt;
    logic        pcd;
    logic        pat;
    logic [5:0]  code;  // #PF, from bit 0 up: P, W, U, RSVD, I, PK
    logic [63:0] va;    // #PF: what goes to CR2
  } answer_t;

  // Which entries an operation removes from the TLB: those of one page or of all, of one PCID or of
  // all. Globals go only if it says so, and then whatever their PCID.
  typedef struct packed {
    logic        one_page;
    logic [44:0] vpn;
    logic        one_pcid;
    logic [11:0] pcid;
    logic        globals;
  } purge_t;

  // The registers, bit by bit, and by which number they are written.
  typedef struct packed {
    logic        pe, wp, pg;
    logic [51:0] cr3;
    logic        pse, pae, pge, la57, pcide, smep, smap, pke;
    logic        lme, nxe;
  } regs_t;

  typedef enum logic [1:0] {
    RegCr0  = 2'd0,
    RegCr3  = 2'd1,
    RegCr4  = 2'd2,
    RegEfer = 2'd3
  } reg_e;

  // What of the registers decides about rights, and what else an access needs of them.
  typedef struct packed {
    logic long_mode;  // 4- or 5-level paging
    logic wp;
    logic smep;
    logic smap;
    logic pke;
  } rules_t;

  typedef struct packed {
    rules_t       rules;
    logic         la57;
    logic         pse;
    logic         pge;
    logic         nxe;
    logic [11:0]  pcid;
    logic [51:12] root;
  } context_t;

  function automatic logic canonical(logic [63:47] high, logic la57);
    return la57 ? high[63:56] == {8{high[56]}} : high[63:48] == {16{high[47]}};
  endfunction

  // The bits of a page number that lie inside a page of this size.
  function automatic logic [44:0] inside_page(size_e size);
    unique case (size)
      Size2M:  return 45'h1ff;
      Size1G:  return 45'h3ffff;
      Size4M:  return 45'h3ff;
      default: return 45'h0;
    endcase
  endfunction

  // What forbids an access to a page: the protection key, or anything at all.
  typedef struct packed {
    logic key;
    logic any;
  } denial_t;

  function automatic denial_t judge(access_t a, perm_t p, rules_t r);
    logic mode, exec, store, smap, key, checked;
    logic [1:0] rights;
    checked = a.user || r.wp;  // R/W and WD bind the write
    rights  = 2'(a.pkru >> {p.key, 1'b0});
    mode    = a.user && !p.us;
    exec    = a.fetch && (p.xd || (!a.user && p.us && r.smep));
    store   = a.write && !p.rw && checked;
    smap    = !a.fetch && !a.user && p.us && r.smap && (a.implied || !a.ac);
    key     = !a.fetch && p.us && r.pke && r.long_mode &&
              (rights[0] || (rights[1] && a.write && checked));
    return '{key: key, any: mode || exec || store || smap || key};
  endfunction

  // The answer that a page gives; only the low 30 bits of an address can lie inside one.
  function automatic answer_t translated(logic [29:0] va, page_t page);
    answer_t answer;
    answer         = '0;
    answer.outcome = ResOk;
    answer.pa      = {page.frame | 40'({27'h0, va[29:12]} & inside_page(page.size)), va[11:0]};
    answer.size    = page.size;
    answer.pwt     = page.pwt;
    answer.pcd     = page.pcd;
    answer.pat     = page.pat;
    return answer;
  endfunction

endpackage
